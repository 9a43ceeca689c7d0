import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as promClient from 'prom-client';
import { describe, expect, it } from 'vitest';
import { LastchunkError } from '../../src/core/errors.ts';
import { findClient } from '../../src/telemetry/prometheus-client.ts';
import { prometheus, type PrometheusMetrics } from '../../src/telemetry/prometheus.ts';
import { createRecorder } from '../../src/telemetry/recorder.ts';
import { parseScrape } from '../support/scrape.ts';
import { aStream, anEnd } from './facts.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';

function codeOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error instanceof LastchunkError ? error.code : error;
  }
  return 'nothing was thrown';
}

/** One answer of the handler, over a real socket. */
async function scrape(
  metrics: PrometheusMetrics,
  accept = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5',
): Promise<Response & { text: () => Promise<string> }> {
  const server = createServer(metrics.handler());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // The server listens on a port, not on a path.
  const { port } = server.address() as AddressInfo;
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
      headers: { accept },
    });
    const body = await response.text();
    return Object.assign(response, { text: async () => body });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

it('a process without store and relay does not report them as unavailable', async () => {
  const metrics = prometheus();
  createRecorder([metrics.sink]).onStart?.(aStream({ route: '/chat' }));
  const text = await (await scrape(metrics, 'text/plain')).text();
  expect(text).toContain('# TYPE lastchunk_relay_up gauge');
  expect(text).not.toMatch(/^lastchunk_(?:store|relay)_up /m);
});

describe('the format of a scrape', () => {
  const PLAIN = 'text/plain; version=0.0.4; charset=utf-8';

  it.each(['*/*', 'text/plain', 'text/plain;version=0.0.4'])(
    'is plain text for %s',
    async (accept) => {
      const metrics = prometheus();
      createRecorder([metrics.sink]).onStart?.(aStream({ route: '/chat' }));
      const response = await scrape(metrics, accept);
      expect(response.headers.get('content-type')).toBe(PLAIN);
      expect(response.headers.get('vary')).toBe('Accept');
      const text = await response.text();
      expect(text).toContain('lastchunk_streams_started_total{route="/chat"} 1\n');
      expect(text).not.toContain('# EOF');
    },
  );

  it('has the same counter names in both formats, in any order of requests', async () => {
    const metrics = prometheus();
    createRecorder([metrics.sink]).onStart?.(aStream({ route: '/chat' }));
    for (const accept of [
      'application/openmetrics-text',
      '*/*',
      'application/openmetrics-text',
      '*/*',
    ]) {
      const text = await (await scrape(metrics, accept)).text();
      expect(text).toContain('lastchunk_streams_started_total{route="/chat"} 1\n');
      expect(text).toContain('process_cpu_seconds_total ');
      expect(text).not.toContain('_total_total');
    }
    const plain = await (await scrape(metrics, '*/*')).text();
    expect(plain).toContain('# TYPE lastchunk_streams_started_total counter\n');
  });

  it('is that of the registry, if the app has given one', async () => {
    const registry = new promClient.Registry();
    const response = await scrape(prometheus({ registry }), 'application/openmetrics-text');
    expect(response.headers.get('content-type')).toBe(registry.contentType);
  });
});

describe('a registry of lastchunk', () => {
  it('is in the OpenMetrics format, with the metrics of the process', async () => {
    const response = await scrape(prometheus());
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(promClient.openMetricsContentType);
    const text = await response.text();
    expect(text.endsWith('# EOF\n')).toBe(true);
    expect(text).toContain('process_start_time_seconds');
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
  });

  it('is complete if a route has letters of more than one byte', async () => {
    const metrics = prometheus();
    createRecorder([metrics.sink]).onStart?.(aStream({ route: '/größe/:日' }));
    const text = await (await scrape(metrics)).text();
    expect(text).toContain('lastchunk_streams_started_total{route="/größe/:日"} 1\n');
    expect(text.endsWith('# EOF\n')).toBe(true);
  });

  it('keeps the names of counters in every scrape', async () => {
    const metrics = prometheus();
    createRecorder([metrics.sink]).onRoute?.('/chat');
    for (let round = 0; round < 3; round += 1) {
      const seen = parseScrape(await metrics.registry.metrics());
      expect(seen.has('lastchunk_saves_total', { route: '/chat' })).toBe(true);
    }
  });

  it('has exemplars of sampled traces', async () => {
    const metrics = prometheus();
    const recorder = createRecorder([metrics.sink], { sampledTraceIdOf: () => TRACE });
    recorder.onFirstChunk?.(aStream(), 7);
    expect(await metrics.registry.metrics()).toContain(`# {trace_id="${TRACE}"} 0.007`);
  });

  it('has no exemplar if no trace was sampled', async () => {
    const metrics = prometheus();
    createRecorder([metrics.sink]).onFirstChunk?.(aStream(), 7);
    expect(await metrics.registry.metrics()).not.toContain('# {');
  });
});

describe('a registry of the app', () => {
  it('keeps its content type and its metrics, and gets only those of lastchunk', async () => {
    const registry = new promClient.Registry();
    const own = new promClient.Counter({
      name: 'orders_total',
      help: 'Orders.',
      registers: [registry],
    });
    own.inc(3);
    const metrics = prometheus({ registry });
    const recorder = createRecorder([metrics.sink], { sampledTraceIdOf: () => TRACE });
    recorder.onFirstChunk?.(aStream(), 7);
    const response = await scrape(metrics);
    expect(response.headers.get('content-type')).toBe(promClient.prometheusContentType);
    const text = await response.text();
    expect(text).toContain('orders_total 3');
    expect(text).toContain(`lastchunk_saves_total{route="${aStream().route}",result="lost"} 0`);
    expect(text).not.toContain('# {');
    const strange = registry
      .getMetricsAsArray()
      .map(({ name }) => name)
      .filter((name) => !name.startsWith('lastchunk_'));
    expect(strange).toEqual(['orders_total']);
  });

  it('in the OpenMetrics format gets exemplars', async () => {
    const registry = new promClient.Registry<promClient.OpenMetricsContentType>();
    registry.setContentType(promClient.openMetricsContentType);
    const metrics = prometheus({ registry });
    const recorder = createRecorder([metrics.sink], { sampledTraceIdOf: () => TRACE });
    recorder.onFirstChunk?.(aStream(), 7);
    expect(await registry.metrics()).toContain(`trace_id="${TRACE}"`);
  });

  it('may be given to two instances, whose counts are summed', async () => {
    const registry = new promClient.Registry();
    const first = createRecorder([prometheus({ registry }).sink], {
      pool: () => ({ total: 2, idle: 1, waiting: 0, max: 4 }),
    });
    const second = createRecorder([prometheus({ registry }).sink], {
      pool: () => ({ total: 3, idle: 3, waiting: 0, max: 4 }),
    });
    const streams = [aStream(), aStream(), aStream()] as const;
    first.onStart?.(streams[0]);
    first.onDue?.(streams[0]);
    second.onStart?.(streams[1]);
    second.onDue?.(streams[1]);
    second.onStart?.(streams[2]);
    await registry.metrics();
    second.onEnd?.(anEnd(streams[2]));
    const seen = parseScrape(await registry.metrics());
    expect(seen.sum('lastchunk_streams_started_total')).toBe(3);
    expect(seen.sum('lastchunk_streams_active')).toBe(2);
    expect(seen.sum('lastchunk_pool_clients_max')).toBe(8);
    expect(seen.sum('lastchunk_build_info')).toBe(1);
    // Not the sum of two points in time.
    const due = [first, second].map((recorder) => (recorder.pending().oldestMs ?? 0) / 1000);
    const oldest = seen.sum('lastchunk_save_oldest_pending_timestamp_seconds');
    expect(oldest).toBe(Math.min(...due));
  });

  it('keeps its observations if a second instance is created later', async () => {
    const registry = new promClient.Registry();
    const route = 'unmatched';
    createRecorder([prometheus({ registry }).sink]).onFirstChunk?.(aStream({ route }), 5);
    createRecorder([prometheus({ registry }).sink]).onRoute?.(route);
    const seen = parseScrape(await registry.metrics());
    expect(seen.sum('lastchunk_time_to_first_chunk_seconds_count', { route })).toBe(1);
  });

  it('with instruments of another copy of lastchunk reuses them', async () => {
    const registry = new promClient.Registry();
    const labelNames = ['route'];
    const name = 'lastchunk_time_to_first_chunk_seconds';
    const there = new promClient.Histogram({
      name,
      help: 'There.',
      labelNames,
      registers: [registry],
    });
    there.observe({ route: 'unmatched' }, 1);
    const recorder = createRecorder([prometheus({ registry }).sink]);
    recorder.onFirstChunk?.(aStream({ route: 'unmatched' }), 7);
    const seen = parseScrape(await registry.metrics());
    expect(seen.sum(`${name}_count`, { route: 'unmatched' })).toBe(2);
  });

  it('has all series again after the app has reset it, and counts from 0', async () => {
    const registry = new promClient.Registry();
    const recorder = createRecorder([prometheus({ registry }).sink]);
    recorder.onStart?.(aStream({ route: '/one' }));
    await registry.metrics();
    registry.resetMetrics();
    recorder.onStart?.(aStream({ route: '/one' }));
    const seen = parseScrape(await registry.metrics());
    expect(seen.sum('lastchunk_streams_started_total', { route: '/one' })).toBe(1);
    expect(seen.sum('lastchunk_streams_active', { route: '/one' })).toBe(2);
    expect(seen.has('lastchunk_saves_total', { route: '/one', result: 'lost' })).toBe(true);
  });

  it('shares no counter with a registry of lastchunk, in any order of scrapes', async () => {
    const registry = new promClient.Registry();
    const [own, theirs] = [prometheus(), prometheus({ registry })];
    const recorder = createRecorder([own.sink, theirs.sink]);
    recorder.onStart?.(aStream({ route: '/one' }));
    for (let round = 0; round < 3; round += 1) {
      for (const one of [own.registry, registry]) {
        const seen = parseScrape(await one.metrics());
        expect(seen.sum('lastchunk_streams_started_total', { route: '/one' })).toBe(1);
      }
    }
  });

  it('gets only the changes since the last scrape', async () => {
    const registry = new promClient.Registry();
    const recorder = createRecorder([prometheus({ registry }).sink]);
    recorder.onRoute?.('unmatched');
    await registry.metrics();
    let calls = 0;
    for (const name of ['lastchunk_streams_started_total', 'lastchunk_saves_total']) {
      // The instruments are counters of prom-client.
      const instrument = registry.getSingleMetric(name) as promClient.Counter;
      const inc = instrument.inc.bind(instrument);
      Object.defineProperty(instrument, 'inc', {
        value: (...args: Parameters<typeof inc>) => {
          calls += 1;
          inc(...args);
        },
      });
    }
    recorder.onStart?.(aStream({ route: 'unmatched' }));
    await registry.metrics();
    await registry.metrics();
    expect(calls).toBe(1);
  });

  it('is updated when a single metric is read', async () => {
    const registry = new promClient.Registry();
    createRecorder([prometheus({ registry }).sink]).onStart?.(aStream({ route: '/one' }));
    const text = await registry.getSingleMetricAsString('lastchunk_streams_started_total');
    expect(text).toContain('{route="/one"} 1');
  });
});

describe('a scrape that fails', () => {
  it('answers 500 without the message of the error, and throws nothing', async () => {
    const registry = new promClient.Registry();
    const collect = (): never => {
      throw new Error('the secret of the app');
    };
    new promClient.Gauge({ name: 'broken', help: 'Broken.', registers: [registry], collect });
    const response = await scrape(prometheus({ registry }));
    expect(response.status).toBe(500);
    expect(await response.text()).toBe('the metrics could not be collected\n');
  });
});

describe('the options of prometheus()', () => {
  it('must not contain an unknown one', () => {
    const options: object = { registery: new promClient.Registry() };
    expect(codeOf(() => prometheus(options))).toBe('bad-option');
  });

  it('must contain a real client and a real registry', () => {
    // What a caller without types may give.
    const wrong: object[] = [{ client: {} }, { registry: {} }, { registry: 'default' }];
    for (const options of wrong) expect(codeOf(() => prometheus(options))).toBe('bad-option');
  });

  it('may contain the client', () => {
    expect(prometheus({ client: promClient }).registry).toBeInstanceOf(promClient.Registry);
    expect(prometheus({ client: promClient, registry: promClient.register }).registry).toBe(
      promClient.register,
    );
  });

  it('determine the client by the registry', () => {
    class OtherRegistry {}
    const other = { ...promClient, Registry: OtherRegistry };
    const installed: Record<string, unknown> = {
      'prom-client': promClient,
      '@prometheus-io/client': other,
    };
    const load = (name: string): unknown => installed[name];
    expect(findClient(undefined, new OtherRegistry(), load)).toBe(other);
    expect(findClient(undefined, undefined, load)).toBe(promClient);
    expect(codeOf(() => findClient(undefined, {}, load))).toBe('bad-option');
  });

  it('produce an error that names the missing package', () => {
    const find = (): unknown => findClient(undefined, undefined, () => undefined);
    expect(find).toThrow(/npm install prom-client.*prometheus\(\{ client \}\)/);
    expect(codeOf(find)).toBe('missing-peer');
  });
});
