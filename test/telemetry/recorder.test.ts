import { describe, expect, it } from 'vitest';
import type { JournalState } from '../../src/journal/port.ts';
import { METRICS } from '../../src/core/names/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { createRecorder } from '../../src/telemetry/recorder.ts';
import type { Sink } from '../../src/telemetry/metric-registry.ts';
import type { RecorderSources } from '../../src/telemetry/sources.ts';
import { OUTCOMES, SAVE_RESULTS } from '../../src/core/message.ts';
import { combine, type FullObserver } from '../../src/core/observer.ts';
import { parseScrape, type Scrape } from '../support/scrape.ts';
import { aSave, aStream, anEnd } from './facts.ts';

const JOURNAL: JournalState = {
  entries: 2,
  bytes: 4096,
  capacityBytes: 1 << 30,
  oldestEntryMs: 1_700_000_000_000,
  degraded: 'full',
  corruptRecords: 3,
  fileSystem: 'disk',
  ephemeral: false,
  setAside: {
    damaged: { files: 2, bytes: 9, expired: 1 },
    refused: { files: 5, bytes: 9, expired: 4 },
  },
};

interface Bench {
  readonly recorder: ReturnType<typeof createRecorder>;
  readonly tell: FullObserver;
  readonly scrape: () => Promise<Scrape>;
}

function createBench(sources?: RecorderSources): Bench {
  const metrics = prometheus();
  const recorder = createRecorder([metrics.sink], sources);
  const tell = combine([recorder], (error) => {
    throw error;
  });
  return { recorder, tell, scrape: async () => parseScrape(await metrics.registry.metrics()) };
}

/** What must be 0 at every scrape. */
function difference(scrape: Scrape): number {
  return (
    scrape.sum('lastchunk_saves_expected_total') -
    scrape.sum('lastchunk_saves_total') -
    scrape.sum('lastchunk_saves_pending')
  );
}

describe('series at 0', () => {
  it('do not exist for a route that is not registered', async () => {
    const scrape = await createBench().scrape();
    for (const route of ['unmatched', 'other']) {
      expect(scrape.has('lastchunk_saves_total', { route })).toBe(false);
      expect(scrape.has('lastchunk_streams_active', { route })).toBe(false);
      expect(scrape.has('lastchunk_save_duration_seconds_bucket', { route })).toBe(false);
    }
  });

  it('exist for a registered route, with every label value, before any event', async () => {
    const { tell, scrape: read } = createBench();
    tell.onRoute('unmatched');
    const scrape = await read();
    const route = 'unmatched';
    for (const result of SAVE_RESULTS) {
      expect(scrape.has('lastchunk_saves_total', { route, result })).toBe(true);
    }
    for (const outcome of OUTCOMES) {
      for (const guarded of ['true', 'false']) {
        const labels = { route, outcome, guarded };
        expect(scrape.has('lastchunk_streams_ended_total', labels)).toBe(true);
      }
    }
    expect(scrape.has('lastchunk_save_duration_seconds_bucket', { route, le: '2.5' })).toBe(true);
    expect(scrape.has('lastchunk_internal_errors_total', { where: 'format' })).toBe(true);
    expect(scrape.has('lastchunk_id_conflicts_total')).toBe(true);
    expect(scrape.has('lastchunk_save_attempts_total', { error_type: 'none' })).toBe(true);
    expect(scrape.has('lastchunk_journal_corrupt_records_total')).toBe(true);
    expect(scrape.sum('lastchunk_saves_total')).toBe(0);
  });

  it('of a route exist as soon as its guard is created', async () => {
    const { tell, scrape } = createBench();
    tell.onRoute('/chat/:id');
    const before = await scrape();
    for (const result of SAVE_RESULTS) {
      expect(before.has('lastchunk_saves_total', { route: '/chat/:id', result })).toBe(true);
    }
    expect(before.has('lastchunk_stream_duration_seconds_count', { route: '/chat/:id' })).toBe(
      true,
    );
  });

  it('are not reset when a route is reported again', async () => {
    const { tell, scrape } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onFirstChunk(stream, 12);
    tell.onRoute(stream.route);
    const { route } = stream;
    const count = (await scrape()).sum('lastchunk_time_to_first_chunk_seconds_count', { route });
    expect(count).toBe(1);
  });
});

describe('routes', () => {
  it('beyond the hundredth are counted under "other"', async () => {
    const { tell, scrape } = createBench();
    for (let route = 1; route <= 105; route += 1)
      tell.onStart(aStream({ route: `/route/${route}` }));
    const seen = await scrape();
    expect(seen.sum('lastchunk_streams_started_total', { route: '/route/100' })).toBe(1);
    expect(seen.has('lastchunk_streams_started_total', { route: '/route/101' })).toBe(false);
    expect(seen.sum('lastchunk_streams_started_total', { route: 'other' })).toBe(5);
    expect(seen.sum('lastchunk_streams_active')).toBe(105);
  });

  it('that are empty are counted under "unmatched"', async () => {
    const { tell, scrape } = createBench();
    tell.onStart(aStream({ route: '' }));
    expect((await scrape()).sum('lastchunk_streams_started_total', { route: 'unmatched' })).toBe(1);
  });
});

describe('streams', () => {
  it('count their chunks and bytes while they are live, each only once', async () => {
    const { tell, scrape } = createBench();
    const stream = aStream();
    const { route } = stream;
    tell.onStart(stream);
    stream.chunks = 3;
    stream.bytes = 30;
    const early = await scrape();
    stream.chunks = 5;
    stream.bytes = 50;
    tell.onEnd(anEnd(stream));
    const late = await scrape();
    expect(early.sum('lastchunk_chunks_total', { route })).toBe(3);
    expect(early.sum('lastchunk_streams_active', { route })).toBe(1);
    expect(late.sum('lastchunk_chunks_total', { route })).toBe(5);
    expect(late.sum('lastchunk_stream_bytes_total', { route })).toBe(50);
    expect(late.sum('lastchunk_streams_active', { route })).toBe(0);
  });

  it('end once, with their outcome, and add one observation to each histogram', async () => {
    const { tell, scrape } = createBench();
    const stream = aStream({ guarded: false });
    tell.onStart(stream);
    tell.onEnd(anEnd(stream, { outcome: 'truncated', durationMs: 2000, maxChunkGapMs: 700 }));
    const seen = await scrape();
    const ended = { route: stream.route, outcome: 'truncated', guarded: 'false' };
    expect(seen.sum('lastchunk_streams_ended_total', ended)).toBe(1);
    expect(seen.sum('lastchunk_streams_ended_total')).toBe(1);
    expect(seen.sum('lastchunk_stream_duration_seconds_sum')).toBe(2);
    expect(seen.sum('lastchunk_chunk_gap_seconds_sum')).toBe(0.7);
  });

  it('with fewer than two chunks have no gap', async () => {
    const { tell, scrape } = createBench();
    const stream = aStream();
    tell.onStart(stream);
    tell.onEnd(anEnd(stream, { maxChunkGapMs: undefined }));
    expect((await scrape()).sum('lastchunk_chunk_gap_seconds_count')).toBe(0);
  });

  it('that outlive their client are counted until their end', async () => {
    const { tell, scrape } = createBench();
    const stream = aStream();
    tell.onFinishing(stream, true);
    const during = await scrape();
    tell.onFinishing(stream, false);
    expect(during.sum('lastchunk_streams_finishing')).toBe(1);
    expect((await scrape()).sum('lastchunk_streams_finishing')).toBe(0);
  });
});

describe('saves', () => {
  it('are expected when due, pending until their result, and then counted by it', async () => {
    const { tell, recorder, scrape } = createBench();
    const streams = [aStream(), aStream(), aStream()] as const;
    for (const stream of streams) tell.onDue(stream);
    expect(recorder.pending().count).toBe(3);
    tell.onSave(aSave(streams[0]));
    tell.onSave(aSave(streams[1], { result: 'journaled' }));
    const seen = await scrape();
    expect(seen.sum('lastchunk_saves_expected_total')).toBe(3);
    expect(seen.sum('lastchunk_saves_total', { result: 'saved' })).toBe(1);
    expect(seen.sum('lastchunk_saves_total', { result: 'journaled' })).toBe(1);
    expect(seen.sum('lastchunk_saves_pending')).toBe(1);
    expect(seen.sum('lastchunk_save_duration_seconds_count')).toBe(1);
    expect(difference(seen)).toBe(0);
  });

  it('export when the oldest of them became due, and 0 if none is pending', async () => {
    const { tell, recorder, scrape } = createBench();
    const before = Date.now();
    const [oldest, younger] = [aStream(), aStream()];
    tell.onDue(oldest);
    tell.onDue(younger);
    const seen = (await scrape()).sum('lastchunk_save_oldest_pending_timestamp_seconds');
    // A moment of the monotonic clock, as a time of day: the wall clock gives whole milliseconds.
    expect(seen).toBeGreaterThanOrEqual(before / 1000 - 0.002);
    expect(seen).toBeLessThanOrEqual(Date.now() / 1000 + 0.002);
    expect(recorder.pending().oldestMs).toBe(seen * 1000);
    tell.onSave(aSave(oldest));
    tell.onSave(aSave(younger));
    expect((await scrape()).sum('lastchunk_save_oldest_pending_timestamp_seconds')).toBe(0);
    expect(recorder.pending()).toEqual({ count: 0, oldestMs: undefined });
  });

  it('that are revised, late, or of a dead process do not change the main counter', async () => {
    const { tell, scrape } = createBench();
    const stream = aStream();
    tell.onDue(stream);
    tell.onSave(aSave(stream, { result: 'missing' }));
    tell.onSave(aSave(stream, { kind: 'late' }));
    tell.onSave(aSave(stream, { kind: 'revised', result: 'lost' }));
    tell.onSave({ ...aSave(stream), stream: undefined });
    const about = { streamId: 's', messageId: 'm', route: '/chat/:id', traceparent: null };
    tell.onRecovered('saved', about);
    tell.onReplayed('refused', about);
    const seen = await scrape();
    expect(seen.sum('lastchunk_saves_total')).toBe(1);
    expect(seen.sum('lastchunk_saves_late_total', { result: 'saved' })).toBe(1);
    expect(seen.sum('lastchunk_saves_revised_total', { result: 'lost' })).toBe(1);
    expect(seen.sum('lastchunk_journal_recovered_total', { result: 'saved' })).toBe(1);
    expect(seen.sum('lastchunk_journal_replayed_total', { result: 'refused' })).toBe(1);
    expect(difference(seen)).toBe(0);
  });

  it('with a result that were never due make the difference negative', async () => {
    const { tell, scrape } = createBench();
    tell.onSave(aSave(aStream()));
    expect(difference(await scrape())).toBe(-1);
  });

  it('with two first results make the difference negative', async () => {
    const { tell, scrape } = createBench();
    const stream = aStream();
    tell.onDue(stream);
    tell.onSave(aSave(stream));
    tell.onSave(aSave(stream));
    expect(difference(await scrape())).toBe(-1);
  });

  it('are counted under the route under which they were expected', async () => {
    const { tell, scrape } = createBench();
    const stream = aStream({ route: '/due' });
    tell.onDue(stream);
    tell.onSave(aSave(stream, { route: '/elsewhere' }));
    const seen = await scrape();
    expect(seen.sum('lastchunk_saves_total', { route: '/due' })).toBe(1);
    expect(seen.sum('lastchunk_saves_pending', { route: '/due' })).toBe(0);
  });

  it('are consistent in every scrape, even if streams change while it is collected', async () => {
    const { tell, scrape } = createBench();
    /** Moves all sides in microtasks, which is when a scrape formats what it has collected. */
    const work = async (): Promise<void> => {
      for (let turn = 0; turn < 100; turn += 1) {
        const stream = aStream();
        tell.onDue(stream);
        await Promise.resolve();
        tell.onSave(aSave(stream));
      }
    };
    const differences = new Set<number>();
    for (let round = 0; round < 20; round += 1) {
      const busy = work();
      differences.add(difference(await scrape()));
      await busy;
    }
    expect([...differences]).toEqual([0]);
  });

  it('count an attempt by its error type, unknown types together', async () => {
    const { tell, scrape } = createBench();
    tell.onAttempt(undefined);
    tell.onAttempt('ECONNREFUSED');
    tell.onAttempt('SomethingNobodyKnows');
    const seen = await scrape();
    for (const type of ['none', 'ECONNREFUSED', 'other']) {
      expect(seen.sum('lastchunk_save_attempts_total', { error_type: type })).toBe(1);
    }
  });

  it('count unknown text by format, custom formats together', async () => {
    const { tell, scrape } = createBench();
    tell.onMessage(aStream({ format: 'gemini' }), { unknownText: true, cut: true });
    tell.onMessage(aStream({ format: 'fixture-made' }), { unknownText: true, cut: false });
    tell.onMessage(aStream(), { unknownText: false, cut: false });
    const seen = await scrape();
    expect(seen.sum('lastchunk_text_unknown_total', { format: 'gemini' })).toBe(1);
    expect(seen.sum('lastchunk_text_unknown_total', { format: 'custom' })).toBe(1);
    expect(seen.sum('lastchunk_captures_cut_total')).toBe(1);
  });
});

describe('sources', () => {
  it('are read at the scrape', async () => {
    let entries = 1;
    const { scrape } = createBench({
      journal: () => ({ ...JOURNAL, entries }),
      pool: () => ({ total: 4, idle: 1, waiting: 2, max: 4 }),
      captureBytes: () => 1_000,
    });
    await scrape();
    entries = 7;
    const seen = await scrape();
    expect(seen.sum('lastchunk_journal_entries')).toBe(7);
    expect(seen.sum('lastchunk_journal_degraded')).toBe(1);
    expect(seen.sum('lastchunk_journal_set_aside', { kind: 'damaged' })).toBe(2);
    expect(seen.sum('lastchunk_journal_set_aside_expired_total', { kind: 'refused' })).toBe(4);
    expect(seen.sum('lastchunk_journal_corrupt_records_total')).toBe(3);
    expect(seen.sum('lastchunk_journal_oldest_entry_timestamp_seconds')).toBe(1_700_000_000);
    expect(seen.sum('lastchunk_pool_clients', { pool: 'lastchunk', state: 'active' })).toBe(3);
    expect(seen.sum('lastchunk_pool_clients', { pool: 'lastchunk', state: 'idle' })).toBe(1);
    expect(seen.sum('lastchunk_pool_clients_max')).toBe(4);
    expect(seen.sum('lastchunk_pool_waiting')).toBe(2);
    expect(seen.sum('lastchunk_capture_bytes')).toBe(1_000);
    expect(seen.sum('lastchunk_build_info', { journal: 'disk' })).toBe(1);
  });

  it('that throw are counted, and the scrape continues', async () => {
    const { tell, scrape } = createBench({
      pool: () => {
        throw new Error('the pool is gone');
      },
    });
    tell.onStart(aStream());
    const seen = await scrape();
    expect(seen.sum('lastchunk_streams_started_total')).toBe(1);
    expect(seen.sum('lastchunk_internal_errors_total', { where: 'observer' })).toBe(1);
  });
});

it('emits every metric of the table', () => {
  const emitted = new Set<string>();
  let read: Parameters<Sink['attach']>[0] = () => [];
  const sink: Sink = {
    attach: (given) => void (read = given),
    observe: (metric) => void emitted.add(metric.name),
    prepare: () => undefined,
  };
  const tell = combine(
    [
      createRecorder([sink], {
        journal: () => JOURNAL,
        store: () => ({ reachable: true, circuit: 'open' }),
        relay: () => ({ isUp: true, lagMs: 1, dropped: 1, unconfirmed: 1 }),
        pool: () => ({ total: 4, idle: 1, waiting: 2, max: 4 }),
        captureBytes: () => 1,
      }),
    ],
    (error) => {
      throw error;
    },
  );
  const stream = aStream();
  const about = { streamId: 's', messageId: 'm', route: '/chat/:id', traceparent: null };
  tell.onStart(stream);
  tell.onFirstChunk(stream, 1);
  tell.onMessage(stream, { unknownText: true, cut: true });
  tell.onDue(stream);
  tell.onHold(stream, 'saved', 3);
  tell.onSave(aSave(stream));
  tell.onSave(aSave(stream, { kind: 'late' }));
  tell.onSave(aSave(stream, { kind: 'revised' }));
  tell.onSkip(stream, 'empty');
  tell.onAttempt('57P01');
  tell.onFinishing(stream, true);
  tell.onFinishRefused(stream, 'bytes');
  tell.onUnrecognised(stream, 'text/html');
  tell.onReplayed('saved', about);
  tell.onRecovered('saved', about);
  tell.onJournalWrite(0.00002);
  tell.onRelayFlush(0.001, 600);
  tell.onTakeover('claimed');
  tell.onResume(stream.route, 'relay', 'resumed');
  tell.onRemoteStop('stopped');
  tell.onNoise(stream, { reason: 'own-abort', signature: 'x' });
  for (const kind of ['across-stream', 'long', 'leaked'] as const) {
    tell.onPoolFinding({ pool: 'app', kind, place: 'app.js:1', heldMs: 1, route: undefined });
  }
  tell.onIdConflict('asked', 'given');
  tell.onUnnamed(stream, new Error('no session'));
  tell.onInternalError('store', new Error('x'));
  stream.chunks = 1;
  stream.bytes = 1;
  tell.onEnd(anEnd(stream));
  for (const { metric, value } of read()) if (value !== 0) emitted.add(metric.name);
  // Everything is over: these are 0 now, as the other tests show them moving.
  const over = [METRICS.streamsActive, METRICS.savesPending, METRICS.saveOldestPending];
  for (const metric of over) emitted.add(metric.name);
  const missing = Object.values(METRICS).filter(({ name }) => !emitted.has(name));
  expect(missing).toEqual([]);
});
