/**
 * Labels that are written out once. Both clients keep the text of the labels that an instrument says are shared, by object;
 * their histograms say it of all but `le`, their counters and gauges of none. Here it is said of all labels.
 */
import type { Instrument, Sample } from './prometheus-client.ts';

type Labels = Sample['labels'];

/**
 * Has the client print this instrument from labels whose text it keeps: about 200 bytes a line, for as long as the
 * series is there. What is printed stays the same, and so does what `get()` gives.
 */
export function shareLabels(instrument: Instrument): void {
  const read = instrument.getForPromString?.bind(instrument) ?? (() => instrument.get());
  const buckets = new WeakMap<Labels, Map<unknown, Labels>>();
  /** The labels of a series with those of one of its buckets, the same object at every scrape. */
  const together = (series: Labels, bucket: Labels): Labels => {
    let known = buckets.get(series);
    if (known === undefined) buckets.set(series, (known = new Map()));
    const le = bucket['le'];
    let all = known.get(le);
    if (all === undefined) known.set(le, (all = { ...bucket, ...series }));
    return all;
  };
  /** `labels` stay as they are: the client leaves out those that are shared too. */
  const share = (sample: Sample): Sample => {
    const { labels, sharedLabels, value } = sample;
    // Counters and gauges give what they count with, which is not ours to change.
    if (sharedLabels === undefined) return { labels, sharedLabels: labels, value };
    if ('le' in labels) sample.sharedLabels = together(sharedLabels, labels);
    return sample;
  };
  instrument.getForPromString = async () => {
    const family = await read();
    return { ...family, values: family.values.map(share) };
  };
}
