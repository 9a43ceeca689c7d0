/** Values of metric labels: closed sets, because every value creates a series permanently, and a client must not be able to create one. */
import { codesWith } from '../error-facts.ts';
import type { Bounded } from './metric.ts';

/** The limit of routes that have their own series. Route patterns are written in code, so more than this is a mistake. */
export const ROUTE = {
  atMost: 100,
  always: ['unmatched', 'other'],
} as const satisfies Bounded;

/** The built-in wire formats; `custom` is any format that the app supplies. A test compares them with the formats themselves. */
export const FORMATS = [
  'auto',
  'openai',
  'openai-responses',
  'anthropic',
  'ai-sdk',
  'ai-sdk-data',
  'gemini',
  'ollama',
  'sse',
  'ndjson',
  'text',
  'custom',
] as const;

/** Failures of the store that have a series of their own. */
export const STORE_ERRORS: readonly string[] = [...codesWith('series'), 'other'];

export const GUARDED = ['true', 'false'] as const;
export const SKIP_REASONS = ['empty', 'discarded'] as const;
export const HOLD_RELEASES = ['saved', 'journaled', 'unconfirmed', 'client-gone'] as const;
export const FINISH_REFUSALS = ['time', 'bytes', 'concurrent', 'per-key'] as const;
export const REPLAYED = ['saved', 'refused'] as const;
/** The source of the bytes of a resumed response; `none` where no stream was found. */
export const RESUME_SOURCES = ['memory', 'relay', 'none'] as const;
/**
 * The answer to a request to resume. `resumed`: the stream; `nothing`: the reader has everything; `refused`: the offset is invalid or
 * beyond the body; `busy`: too many readers; `not-found`: no such stream for this request; `away`: the relay is unavailable.
 */
export const RESUME_RESULTS = [
  'resumed',
  'nothing',
  'refused',
  'busy',
  'not-found',
  'away',
] as const;
/** The progress of the takeover of a stream whose instance lost its lease. */
export const TAKEOVERS = ['claimed', 'finished', 'lost'] as const;
/** The answer to a request to stop a stream that is not live in this process. */
export const REMOTE_STOPS = ['stopped', 'late', 'not-found', 'away'] as const;
export const PLACES = ['observer', 'journal', 'store', 'format', 'stream', 'close'] as const;
/**
 * The kinds of cancellation that noise can be. The table in noise/signatures.ts maps errors to kinds; there are fewer kinds than
 * signatures, because each kind is a series.
 */
export const NOISE_REASONS = [
  'own-abort', // the reason object that the stream's own signal was aborted with
  'abort-error', // DOMException AbortError, Node's ABORT_ERR
  'undici-aborted', // undici's own client API
  'sdk-aborted', // APIUserAbortError of openai and @anthropic-ai/sdk
  'response-aborted', // Next.js
  'request-aborted', // the request that the client aborted
  'connection-reset', // the client's own connection
  'broken-pipe',
  'connection-timed-out',
  'stream-destroyed',
  'premature-close',
  'http2-invalid-stream',
  'http2-cancelled',
  'write-after-end',
  'already-finished',
  'invalid-eof', // the parser, for a client that left inside its own body
  'upstream-aborted', // a request of this process, by the stream's own signal
  'query-cancelled', // a query of this process, by the stream's own signal
] as const;
/** The kind of cancellation that an error was recognised as. */
export type NoiseReason = (typeof NOISE_REASONS)[number];

/** The guard's own pool; the app's pools get their names from the app, in `watchPool()`. */
export const POOLS = { atMost: 10, always: ['lastchunk'] } as const satisfies Bounded;
/** The file system of the journal's directory; `none`: the directory cannot be used; `off`: the journal is off. */
export const JOURNALS = ['disk', 'overlay', 'tmpfs', 'network', 'none', 'off'] as const;
/** What a journal sets aside for an operator. */
export const SET_ASIDE = ['damaged', 'refused'] as const;
/** A label that has one value in a process. */
export const ONE = { atMost: 1, always: [] } as const satisfies Bounded;
