/**
 * lastchunk with all its parts, as an app uses it: PostgreSQL, a journal on disk, Prometheus, OpenTelemetry and a logger; and an assertion
 * that all of them report the same.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import express, { type Express, type RequestHandler } from 'express';
import pg from 'pg';
import { Registry } from 'prom-client';
import { expect, onTestFinished } from 'vitest';
import { lastchunk, type LastchunkOptions, type MessageStore } from '../../src/index.ts';
import type { Outcome, SaveResult, Side, SkipReason } from '../../src/core/message.ts';
import { postgres, type PostgresOptions } from '../../src/postgres/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { createLogbook } from './logbook.ts';
import type { TestPostgres } from './postgres.ts';
import { parseScrape, type Scrape } from './scrape.ts';
import { until } from './until.ts';
import { createRecordingObserver } from './recording-observer.ts';

/** A row of `lastchunk_messages`, as `pg` reads it. */
export interface Row {
  readonly id: string;
  readonly stream_id: string;
  readonly conversation_id: string | null;
  readonly role: string;
  readonly content: string;
  readonly complete: boolean;
  readonly outcome: Outcome;
  readonly side: Side;
  readonly revision: number;
  readonly events: readonly unknown[] | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  /** A bigint, which `pg` gives as text. */
  readonly replaced: string;
  readonly trace_id: string | null;
}

/** What all signals must report about the only stream of a fixture. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly side: Side;
  /** The result of the message; default `saved`. */
  readonly save?: SaveResult | SkipReason;
  /** The text in the row; not checked where there is no row. */
  readonly text?: string;
  readonly complete?: boolean;
  readonly revision?: number;
}

/** Options of a fixture. */
export interface FullFixtureOptions extends Omit<
  LastchunkOptions,
  'observer' | 'logger' | 'metrics' | 'store'
> {
  /** Options of the store except its database. Default: `migrate: true`. */
  readonly postgres?: Omit<PostgresOptions, 'connectionString' | 'connection'>;
  /** Wraps the store, to inject faults at its interface. */
  readonly around?: (store: MessageStore) => MessageStore;
}

/** Builds a fixture on a new database; everything is closed and deleted at the end of the test. */
export async function createFullFixture(
  database: TestPostgres,
  spans: () => readonly ReadableSpan[],
  {
    around = (store) => store,
    postgres: given = { migrate: true },
    ...options
  }: FullFixtureOptions = {},
) {
  const connectionString = await database.newDatabase();
  const journal = await mkdtemp(join(tmpdir(), 'lastchunk-fixture-'));
  const metrics = prometheus({ registry: new Registry() });
  const recorded = createRecordingObserver();
  const logbook = createLogbook();
  const keep = lastchunk({
    store: around(postgres({ connectionString, ...given })),
    journal,
    ...options,
    metrics,
    observer: recorded.observer,
    logger: logbook.logger,
  });
  const reader = new pg.Pool({ connectionString, max: 2 });
  reader.on('error', () => {
    // The tests stop the database on purpose.
  });
  onTestFinished(async () => {
    await keep.close({ deadlineMs: 2000 });
    await reader.end();
    await rm(journal, { recursive: true, force: true });
  });
  const rows = async (): Promise<readonly Row[]> => {
    const made = "SELECT to_regclass('lastchunk_messages') IS NOT NULL AS made";
    // The table is created before the first save, and there may be none.
    if ((await reader.query<{ made: boolean }>(made)).rows[0]?.made !== true) return [];
    return (await reader.query<Row>('SELECT * FROM lastchunk_messages ORDER BY started_at, id'))
      .rows;
  };
  const replayed = (): Promise<readonly Row[]> =>
    until('the journal is replayed', async () => {
      const all = await rows();
      return all.length > 0 && all;
    });
  const scrape = async (): Promise<Scrape> => parseScrape(await metrics.registry.metrics());
  const streamSpans = (): readonly ReadableSpan[] => {
    const ids = new Set(recorded.ends.map(({ id }) => id));
    return spans().filter(({ attributes }) => ids.has(String(attributes['lastchunk.stream.id'])));
  };

  /** Asserts that row, metrics, span, summary and log agree on the fixture's only stream. */
  const agree = async (verdict: Verdict): Promise<Row | undefined> => {
    const { outcome, side, save = 'saved' } = verdict;
    expect(await recorded.ended()).toMatchObject({ outcome, side, save });
    expectSpan(await until('the span has ended', () => streamSpans()[0]), verdict);
    expectMetrics(await scrape(), verdict);
    expectLines(logbook, recorded.attempts, verdict);
    const all = save === 'journaled' ? await replayed() : await rows();
    expect(recorded.ends).toHaveLength(1);
    expect(streamSpans().filter(({ name }) => name.startsWith('stream'))).toHaveLength(1);
    expect(recorded.internalErrors).toEqual([]);
    const { text } = verdict;
    if (text !== undefined && text.length > 3) {
      expect(logbook.lines.filter((line) => line.text.includes(text))).toEqual([]);
    }
    expect(all.map(factsOf(verdict))).toEqual(
      save === 'saved' || save === 'journaled' ? [factsIn(verdict)] : [],
    );
    return all[0];
  };
  return {
    keep,
    recorded,
    logbook,
    reader,
    rows,
    scrape,
    streamSpans,
    agree,
    journal,
    connectionString,
  };
}

/** What `createFullFixture` resolves to. */
export type FullFixture = Awaited<ReturnType<typeof createFullFixture>>;

/** An Express app with a server span around each request, as HTTP instrumentation makes one. */
export function createApp(framework: () => Express = express): Express {
  const app = framework().set('env', 'test');
  const withSpan: RequestHandler = (req, res, next) => {
    const tracer = trace.getTracer('test');
    tracer.startActiveSpan(req.method, { kind: SpanKind.SERVER }, (span) => {
      res.once('close', () => span.end());
      next();
    });
  };
  return app.use(withSpan);
}

type Facts = Partial<Pick<Row, 'outcome' | 'side' | 'content' | 'complete' | 'revision'>>;

/** The columns of a row that a verdict names. */
function factsIn({ outcome, side, text, complete, revision }: Verdict): Facts {
  return {
    outcome,
    side,
    ...(text === undefined ? {} : { content: text }),
    ...(complete === undefined ? {} : { complete }),
    ...(revision === undefined ? {} : { revision }),
  };
}

/** Returns a function that reads the same columns of a row. */
function factsOf(verdict: Verdict): (row: Row) => Facts {
  // The names are columns, because `factsIn` returns columns only.
  const names = Object.keys(factsIn(verdict)) as ReadonlyArray<keyof Facts>;
  return (row) => Object.fromEntries(names.map((name) => [name, row[name]]));
}

/** Expects one line about the end of the stream, at debug; lines at error only for a result that is an error for an operator. */
function expectLines(
  { lines, errors }: ReturnType<typeof createLogbook>,
  attempts: ReadonlyArray<string | undefined>,
  { outcome, save = 'saved' }: Verdict,
): void {
  const ended = lines.filter(({ text }) => text.includes('lastchunk: stream ended'));
  expect(ended).toMatchObject([{ level: 'debug' }]);
  expect(ended[0]?.text).toContain(`"outcome":"${outcome}"`);
  const given = save === 'lost' || save === 'missing';
  const calm = attempts.every((errorType) => errorType === undefined);
  if (calm && !given) expect(errors()).toEqual([]);
  if (given) expect(errors()).not.toEqual([]);
  const journaled = lines.filter(({ text }) => text.includes('lastchunk: message in the journal'));
  expect(journaled.map(({ level }) => level)).toEqual(save === 'journaled' ? ['warn'] : []);
}

const ERRONEOUS: ReadonlySet<Outcome> = new Set(['failed', 'timed-out', 'truncated']);

function expectSpan(span: ReadableSpan, { outcome, side, save = 'saved' }: Verdict): void {
  expect(span.attributes).toMatchObject({
    'lastchunk.outcome': outcome,
    'lastchunk.side': side,
    'lastchunk.save.result': save,
    'lastchunk.guarded': true,
  });
  const wrong = ERRONEOUS.has(outcome) || save === 'lost';
  expect(span.status.code).toBe(wrong ? SpanStatusCode.ERROR : SpanStatusCode.UNSET);
  expect('error.type' in span.attributes).toBe(wrong);
}

function expectMetrics(scrape: Scrape, { outcome, save = 'saved' }: Verdict): void {
  const due = save !== 'empty' && save !== 'discarded';
  const moved = {
    started: scrape.sum('lastchunk_streams_started_total'),
    ended: scrape.sum('lastchunk_streams_ended_total'),
    endedSo: scrape.sum('lastchunk_streams_ended_total', { outcome, guarded: 'true' }),
    active: scrape.sum('lastchunk_streams_active'),
    expected: scrape.sum('lastchunk_saves_expected_total'),
    saves: scrape.sum('lastchunk_saves_total'),
    savedSo: due ? scrape.sum('lastchunk_saves_total', { result: save }) : 0,
    skippedSo: due ? 0 : scrape.sum('lastchunk_saves_skipped_total', { reason: save }),
    pending: scrape.sum('lastchunk_saves_pending'),
  };
  expect(moved).toEqual({
    started: 1,
    ended: 1,
    endedSo: 1,
    active: 0,
    expected: due ? 1 : 0,
    saves: due ? 1 : 0,
    savedSo: due ? 1 : 0,
    skippedSo: due ? 0 : 1,
    pending: 0,
  });
}
