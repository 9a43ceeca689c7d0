/**
 * Every name that a machine reads: metrics, labels, spans, attributes. The instruments and docs/metrics.md are made from this table, and
 * alert rules and dashboards are checked against it, so that each name is written in one place.
 *
 * Rules: base units (`s`, `By`), counts as `{things}`; never `total` or a unit in an OpenTelemetry name, because the translation
 * to Prometheus adds both; labels have closed sets of values. Names that OpenTelemetry would have in the singular
 * (`streams.active`) are plural, because then the translation gives the Prometheus name and one dashboard serves both.
 */
import { OUTCOMES, SAVE_RESULTS } from '../message.ts';
import {
  FINISH_REFUSALS,
  GUARDED,
  HOLD_RELEASES,
  JOURNALS,
  NOISE_REASONS,
  ONE,
  PLACES,
  ROUTE,
  SKIP_REASONS,
  STORE_ERRORS,
} from './labels.ts';
import { JOURNAL_METRICS } from './journal-metrics.ts';
import { counter, gauge, seconds, type Metric } from './metric.ts';
import { CAPTURE_METRICS } from './capture-metrics.ts';
import { POOL_METRICS, RELAY_METRICS, STORE_METRICS } from './pool-metrics.ts';

/** 2.5 s is the limit of the timeliness objective; it is a bucket boundary so that the objective needs no interpolation. */
const SHORT = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** An answer takes seconds to minutes. */
const LONG = [0.1, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640];

/** Every metric. A test fails for a metric that is never emitted. */
export const METRICS = {
  streamsStarted: counter(
    'lastchunk.streams.started',
    '{stream}',
    { route: ROUTE },
    'Responses that were recognised as a stream.',
  ),
  streamsEnded: counter(
    'lastchunk.streams.ended',
    '{stream}',
    { route: ROUTE, outcome: OUTCOMES, guarded: GUARDED },
    'Streams that ended, exactly one for each that started.',
  ),
  streamsActive: gauge(
    'lastchunk.streams.active',
    '{stream}',
    { route: ROUTE },
    'Streams that started and have not ended.',
  ),
  chunks: counter(
    'lastchunk.chunks',
    '{chunk}',
    { route: ROUTE },
    'Body writes toward clients, those of live streams included.',
  ),
  streamBytes: counter(
    'lastchunk.stream.bytes',
    'By',
    { route: ROUTE },
    'Bytes of body writes toward clients, those of live streams included.',
  ),
  timeToFirstChunk: seconds(
    'lastchunk.time_to_first_chunk',
    { route: ROUTE },
    SHORT,
    'Time from the start of the request to the first body write.',
  ),
  streamDuration: seconds(
    'lastchunk.stream.duration',
    { route: ROUTE },
    LONG,
    'Time from the start of the request to the end of the stream.',
  ),
  chunkGap: seconds(
    'lastchunk.chunk.gap',
    { route: ROUTE },
    SHORT,
    'The largest time between two chunks of a stream, one observation per stream.',
  ),
  holdDuration: seconds(
    'lastchunk.hold.duration',
    {},
    SHORT,
    'How long a terminal frame was held until its message was safe.',
  ),
  holds: counter(
    'lastchunk.holds',
    '{hold}',
    { released: HOLD_RELEASES },
    'Terminal frames that were held, by what released them; unconfirmed means before the message was safe.',
  ),
  streamsFinishing: gauge(
    'lastchunk.streams.finishing',
    '{stream}',
    {},
    'Streams that outlive their client now.',
  ),
  finishRefused: counter(
    'lastchunk.finish.refused',
    '{stream}',
    { reason: FINISH_REFUSALS },
    'Streams that were not allowed to outlive their client any longer, by the budget that was spent.',
  ),
  unrecognised: counter(
    'lastchunk.unrecognised',
    '{response}',
    { route: ROUTE },
    'Answers of guarded routes, with a status of 2xx, that were not recognised as a stream: nothing of them is kept.',
  ),
  savesExpected: counter(
    'lastchunk.saves.expected',
    '{save}',
    { route: ROUTE },
    'Messages that became due, counted by the stream, independently of the code that saves.',
  ),
  saves: counter(
    'lastchunk.saves',
    '{save}',
    { route: ROUTE, result: SAVE_RESULTS },
    'First results of expected saves, exactly one for each.',
  ),
  savesPending: gauge(
    'lastchunk.saves.pending',
    '{save}',
    { route: ROUTE },
    'Expected saves without a result yet.',
  ),
  savesSkipped: counter(
    'lastchunk.saves.skipped',
    '{save}',
    { route: ROUTE, reason: SKIP_REASONS },
    'Streams without a message: the answer was empty, or the policy discarded it.',
  ),
  savesRevised: counter(
    'lastchunk.saves.revised',
    '{save}',
    { result: SAVE_RESULTS },
    'Further saves of streams that went on after a terminal frame.',
  ),
  savesLate: counter(
    'lastchunk.saves.late',
    '{save}',
    { result: SAVE_RESULTS },
    'Results that came after the save had been counted as missing.',
  ),
  saveDuration: seconds(
    'lastchunk.save.duration',
    { route: ROUTE },
    SHORT,
    'Time from due to the commit, of first saves with the result saved.',
  ),
  saveAttempts: counter(
    'lastchunk.save.attempts',
    '{attempt}',
    { error_type: ['none', ...STORE_ERRORS] },
    'Writes to the store; none is a success.',
  ),
  idConflicts: counter(
    'lastchunk.id.conflicts',
    '{message}',
    {},
    'Messages whose id belonged to another stream: they are saved under another id.',
  ),
  ...CAPTURE_METRICS,
  saveOldestPending: {
    ...gauge(
      'lastchunk.save.oldest_pending_timestamp',
      's',
      {},
      'When the oldest pending save became due, as Unix time; 0 when none is pending.',
    ),
    aggregator: 'oldest',
  },
  ...JOURNAL_METRICS,
  ...STORE_METRICS,
  ...RELAY_METRICS,
  ...POOL_METRICS,
  noise: counter(
    'lastchunk.noise',
    '{error}',
    { reason: NOISE_REASONS },
    'Errors that only meant that a client left or a stream was aborted, once for each error; logged at a lower level, never dropped.',
  ),
  internalErrors: counter(
    'lastchunk.internal.errors',
    '{error}',
    { where: PLACES },
    'Failures inside lastchunk, which must not happen.',
  ),
  buildInfo: {
    ...gauge(
      'lastchunk.build_info',
      '{build}',
      { version: ONE, node: ONE, journal: JOURNALS },
      'Always 1; the labels say what runs.',
    ),
    aggregator: 'first',
  },
  processStart: {
    ...gauge(
      'lastchunk.process.start_timestamp',
      's',
      {},
      'When the process started, as Unix time.',
    ),
    aggregator: 'oldest',
  },
} as const satisfies Readonly<Record<string, Metric>>;

/** The version of OpenTelemetry's semantic conventions from which names are taken; instrumentation scopes have it as their schema URL. */
export const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.41.0';

/**
 * Span names. The kind is always INTERNAL; names of streams and handlers end with the route. A replay is a root span, linked to its
 * streams.
 */
export const SPANS = {
  stream: 'stream',
  save: 'save',
  replay: 'replay',
  /** A guarded handler whose response was no stream, if the app created spans below it. */
  handler: 'handler',
  /** A response that continues a stream, linked to the span of that stream. */
  resume: 'resume',
} as const;

/** Span attributes, with what they hold. `http.*`, `error.type` and `gen_ai.*` are OpenTelemetry's own. */
export const ATTRIBUTES = {
  route: 'http.route',
  method: 'http.request.method',
  /** Only with status ERROR: an SQLSTATE, a Node code, `timeout`, `truncated`, a class name, `_OTHER`. */
  errorType: 'error.type',
  /** Only with the option `conversationIdInSpans`: it is user data. */
  conversationId: 'gen_ai.conversation.id',
  /** Only with the option `usageInSpans`: as the answer reports it. */
  finishReasons: 'gen_ai.response.finish_reasons',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  streamId: 'lastchunk.stream.id',
  guarded: 'lastchunk.guarded',
  format: 'lastchunk.format',
  outcome: 'lastchunk.outcome',
  side: 'lastchunk.side',
  chunks: 'lastchunk.stream.chunks',
  bytes: 'lastchunk.stream.bytes',
  chunksAfterDisconnect: 'lastchunk.stream.chunks_after_disconnect',
  /** Seconds, like every duration here. */
  timeToFirstChunk: 'lastchunk.stream.time_to_first_chunk',
  maxChunkGap: 'lastchunk.stream.max_chunk_gap',
  backpressure: 'lastchunk.stream.backpressure.time',
  hold: 'lastchunk.hold.duration',
  saveResult: 'lastchunk.save.result',
  saveAttempts: 'lastchunk.save.attempts',
  /** The kind of cancellation that an error of this stream was. */
  noiseReason: 'lastchunk.noise.reason',
  /** Number of messages in a replayed batch. */
  messages: 'lastchunk.replay.messages',
} as const;

/** The labels of all metrics. */
export type Label = {
  [Key in keyof typeof METRICS]: keyof (typeof METRICS)[Key]['labels'];
}[keyof typeof METRICS];

/** The OpenTelemetry attribute of each metric label; the same one as on spans where it means the same. */
export const LABEL_ATTRIBUTES: Readonly<Record<Label, string>> = {
  route: ATTRIBUTES.route,
  error_type: ATTRIBUTES.errorType,
  outcome: ATTRIBUTES.outcome,
  guarded: ATTRIBUTES.guarded,
  format: ATTRIBUTES.format,
  result: ATTRIBUTES.saveResult,
  reason: 'lastchunk.reason',
  released: 'lastchunk.released',
  kind: 'lastchunk.kind',
  where: 'lastchunk.where',
  pool: 'lastchunk.pool',
  state: 'lastchunk.state',
  source: 'lastchunk.source',
  version: 'lastchunk.version',
  journal: 'lastchunk.journal',
  node: 'process.runtime.version',
};
