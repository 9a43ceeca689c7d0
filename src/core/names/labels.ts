/** Values of labels: closed sets, because every value is a series for ever and nothing a client chooses may make one. */
import { codesWith } from '../error-facts.ts';
import type { Bounded } from './metric.ts';

/** Distinct routes with series of their own; a route pattern is code, so more than this is an accident. */
export const ROUTE = {
  atMost: 100,
  always: ['unmatched', 'other'],
} as const satisfies Bounded;

/** The built-in wire formats; `custom` is any that the app brought. A test compares them with the formats themselves. */
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
/** Where the bytes of a resumed response are from; `none` where there is none. */
export const RESUME_SOURCES = ['memory', 'relay', 'none'] as const;
/**
 * How a request to resume was answered: with the stream, that there is nothing more, that its offset is beyond the body or no
 * offset, that there are too many readers, that there is no such stream for it, or that the relay is away.
 */
export const RESUME_RESULTS = [
  'resumed',
  'nothing',
  'refused',
  'busy',
  'not-found',
  'away',
] as const;
/** What became of a stream whose instance was gone. */
export const TAKEOVERS = ['claimed', 'finished', 'lost'] as const;
/** How a request to stop a stream of another instance was answered. */
export const REMOTE_STOPS = ['stopped', 'late', 'not-found', 'away'] as const;
export const PLACES = ['observer', 'journal', 'store', 'format', 'stream', 'close'] as const;
/**
 * What kind of cancellation an error called noise is. Which errors are which is the table in noise/signatures.ts; these
 * are fewer, because each is a series.
 */
export const NOISE_REASONS = [
  'own-abort', // the very reason that the stream's own signal was aborted with
  'abort-error', // DOMException AbortError, Node's ABORT_ERR
  'undici-aborted', // undici's own client API
  'sdk-aborted', // APIUserAbortError of openai and @anthropic-ai/sdk
  'response-aborted', // Next.js
  'request-aborted', // the request that the client broke off
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
/** What an error was recognised as that means no more than that somebody left. */
export type NoiseReason = (typeof NOISE_REASONS)[number];

/** The guard's own pool; the app's pools get their names from the app, in `watchPool()`. */
export const POOLS = { atMost: 10, always: ['lastchunk'] } as const satisfies Bounded;
/** What the journal's directory lies on; `none` where it cannot be used, `off` where none is wanted. */
export const JOURNALS = ['disk', 'overlay', 'tmpfs', 'network', 'none', 'off'] as const;
/** What stands aside in a journal until somebody looks at it. */
export const SET_ASIDE = ['damaged', 'refused'] as const;
/** One value in one process. */
export const ONE = { atMost: 1, always: [] } as const satisfies Bounded;
