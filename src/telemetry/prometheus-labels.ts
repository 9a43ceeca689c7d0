/**
 * Labels that are written out once. Both clients keep the text of the labels that an instrument says are shared, by object;
 * their histograms say so of all but `le`, their counters and gauges of none.
 */
import type { Instrument, Sample } from './prometheus-client.ts';

/**
 * Has the client print this counter or gauge from labels whose text it keeps: about 100 bytes a line, for as long as the
 * series is there. What is printed stays the same, and so does what `get()` gives.
 */
export function shareLabels(instrument: Instrument): void {
  instrument.getForPromString = async () => {
    const family = await instrument.get();
    return { ...family, values: family.values.map(share) };
  };
}

/** What is in both is printed once. `labels` stays for whoever does not look at the other. */
function share({ labels, value }: Sample): Sample {
  return { labels, sharedLabels: labels, value };
}
