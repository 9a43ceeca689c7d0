/** What is printed when labels are written out once, beside what the client prints when it writes them out each time. */
import * as promClient from 'prom-client';
import { describe, expect, it } from 'vitest';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { createRecorder } from '../../src/telemetry/recorder.ts';
import { anEnd, aSave, aStream } from './facts.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const FORMATS = [promClient.prometheusContentType, promClient.openMetricsContentType] as const;
/** A route that needs escapes, and one that looks like the end of the labels. */
const ROUTES = ['/plain', '/a"b\\c\nd', '/{x}, y="1"} 2'] as const;

type AnyRegistry = promClient.Registry<(typeof FORMATS)[number]>;

/** An app's registry, and traffic for it. */
function site(format: (typeof FORMATS)[number]): { registry: AnyRegistry; visit: () => void } {
  const registry: AnyRegistry = new promClient.Registry();
  registry.setContentType(format);
  const { sink } = prometheus({ registry });
  const recorder = createRecorder([sink], { sampledTraceIdOf: () => TRACE });
  const visit = (): void => {
    for (const route of ROUTES) {
      const stream = aStream({ route, chunks: 3, bytes: 300 });
      recorder.onStart?.(stream);
      recorder.onFirstChunk?.(stream, 7);
      recorder.onDue?.(stream);
      recorder.onSave?.(aSave(stream));
      recorder.onEnd?.(anEnd(stream));
    }
    recorder.onDue?.(aStream({ route: ROUTES[0], startedAtMs: 1_700_000_000_000 }));
  };
  return { registry, visit };
}

/** The same instruments in another registry, without what was done to how they are printed. */
function untouched(registry: AnyRegistry): AnyRegistry {
  const copies: AnyRegistry = new promClient.Registry();
  copies.setContentType(registry.contentType);
  for (const instrument of registry.getMetricsAsArray()) {
    const client: unknown = Object.getPrototypeOf(instrument);
    const value: unknown = Reflect.get(Object(client), 'getForPromString');
    // It is the instrument in everything else.
    const copy = Object.create(instrument, { getForPromString: { value } }) as promClient.Metric;
    copies.registerMetric(copy);
  }
  return copies;
}

const LINE = /^(\w+)\{((?:\w+="(?:[^"\\]|\\.)*",?)*)\} (.*)$/;

/** The lines in the order of the alphabet, and the labels of each: neither order means anything. */
function linesOf(text: string): readonly string[] {
  const sorted = text.split('\n').map((line) => {
    const [, name, labels = '', rest] = LINE.exec(line) ?? [];
    if (name === undefined) return line;
    const pairs = labels.match(/\w+="(?:[^"\\]|\\.)*"/g) ?? [];
    return `${name}{${pairs.toSorted().join()}} ${rest}`;
  });
  return sorted.toSorted();
}

/** As another process gets it. */
const sent = async (registry: AnyRegistry): Promise<object[]> =>
  JSON.parse(JSON.stringify(await registry.getMetricsAsJSON())) as object[];

describe.each(FORMATS)('a registry in the format %s', (format) => {
  it('has the lines that the client itself prints, in every scrape', async () => {
    const { registry, visit } = site(format);
    for (let round = 0; round < 3; round += 1) {
      const text = await registry.metrics();
      expect(linesOf(text)).toEqual(linesOf(await untouched(registry).metrics()));
      visit();
    }
  });

  it('has them with the default labels of the app, which do not override those of lastchunk', async () => {
    const { registry, visit } = site(format);
    visit();
    const before = await registry.metrics();
    registry.setDefaultLabels({ app: 'shop', route: 'default', le: 'default' });
    const other = untouched(registry);
    other.setDefaultLabels({ app: 'shop', route: 'default', le: 'default' });
    const after = await registry.metrics();
    expect(linesOf(after)).toEqual(linesOf(await other.metrics()));
    expect(linesOf(after)).toContain(
      'lastchunk_stream_duration_seconds_bucket{app="shop",le="2.5",route="/plain"} 1' +
        (format === promClient.openMetricsContentType ? after.match(/ # .* 1\.5 .*/)?.[0] : ''),
    );
    registry.setDefaultLabels({});
    expect(linesOf(await registry.metrics())).toEqual(linesOf(before));
  });

  it('has them again after the app has reset the registry', async () => {
    const { registry, visit } = site(format);
    visit();
    await registry.metrics();
    registry.resetMetrics();
    visit();
    const text = await registry.metrics();
    expect(linesOf(text)).toEqual(linesOf(await untouched(registry).metrics()));
    expect(text).toContain('lastchunk_saves_total{route="/plain",result="saved"} 1\n');
    expect(text).toContain('lastchunk_stream_duration_seconds_count{route="/plain"} 1\n');
  });

  it('sends the same to other processes, where they are summed', async () => {
    const { registry, visit } = site(format);
    visit();
    await registry.metrics();
    const said = await sent(registry);
    expect(said).toEqual(await sent(untouched(registry)));
    const both: AnyRegistry = promClient.AggregatorRegistry.aggregate([said, said]);
    both.setContentType(format);
    const lines = linesOf(await both.metrics());
    expect(lines).toContain('lastchunk_saves_total{result="saved",route="/plain"} 2');
    expect(lines).toContain('lastchunk_stream_duration_seconds_bucket{le="2.5",route="/plain"} 2');
    expect(lines).toContain(
      'lastchunk_stream_duration_seconds_bucket{le="+Inf",route="/a\\"b\\\\c\\nd"} 2',
    );
  });

  it('writes every label once', async () => {
    const { registry, visit } = site(format);
    visit();
    const text = await registry.metrics();
    for (const line of text.split('\n')) {
      const [, , labels = ''] = LINE.exec(line) ?? [];
      const names = [...labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)].map(([, name]) => name);
      expect(new Set(names).size, line).toBe(names.length);
    }
    expect(text).toContain('lastchunk_streams_started_total{route="/{x}, y=\\"1\\"} 2"} 1\n');
    expect(text).toContain('lastchunk_streams_finishing 0\n');
  });
});

it('the client gets the same label objects at every scrape, because it caches their text by object', async () => {
  const { registry, visit } = site(promClient.prometheusContentType);
  const shared = async (): Promise<readonly unknown[]> => {
    const found: unknown[] = [];
    for (const instrument of registry.getMetricsAsArray()) {
      const { values } = await Reflect.get(instrument, 'getForPromString').call(instrument);
      for (const sample of values) found.push(sample.sharedLabels);
    }
    return found;
  };
  visit();
  const before = await shared();
  visit();
  const after = await shared();
  expect(before.length).toBeGreaterThan(300);
  expect(after.length).toBe(before.length);
  expect(after.filter((labels, at) => typeof labels !== 'object' || labels !== before[at])).toEqual(
    [],
  );
});
