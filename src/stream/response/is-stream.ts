/**
 * Decides whether a response is a stream, once, when its headers are known. A response that is not a stream passes untouched and
 * is not counted: a JSON error or an error page is not an answer.
 */
import { isObject } from '../../core/values.ts';

/** Server-sent events. */
export const EVENT_STREAM = 'text/event-stream';

/** Media types that make a response a stream, even when one call sends the whole body: a cached answer is an answer. */
const STREAM_TYPES: ReadonlySet<string> = new Set([
  EVENT_STREAM,
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/json-seq',
  'application/jsonlines', // Hugging Face and others
  'application/x-jsonlines',
  'application/x-json-stream',
  'application/stream+json', // Spring WebFlux
  'text/markdown',
]);

const JSON_TYPE = 'application/json';

/** Media types that do not decide it: the first body call does. */
const OPEN_TYPES: ReadonlySet<string> = new Set(['', 'text/plain']);

/** Types that files have too: with a length or a validator, as `express.static` sends them, the response is a file. */
const FILE_TYPES: ReadonlySet<string> = new Set(['', 'text/plain', 'text/markdown']);

/** RFC 9110, section 15.3.7: a part of a representation that exists as a whole. */
const PARTIAL_CONTENT = 206;

/** The call at which it is decided. */
export type DecidingCall = 'writeHead' | 'flushHeaders' | 'write' | 'end';

/** Status and headers of a response, as far as the decision needs them. */
export interface ResponseHead {
  readonly status: number;
  /** Media type without parameters, lower case, `''` when there is none. */
  readonly contentType: string;
  /** The coding that the handler applied itself, lower case, `''` when there is none. */
  readonly contentEncoding: string;
  /** The charset of the content type, lower case; `''` for UTF-8 and for none. */
  readonly charset: string;
  /** `undefined` when the response is chunked. */
  readonly contentLength: number | undefined;
  /** It has an `ETag` or `Accept-Ranges`: a representation that can be requested again. */
  readonly revalidates: boolean;
}

/** A response that may be a stream. */
export interface Candidate extends Omit<ResponseHead, 'contentEncoding'> {
  readonly method: string;
}

/** The options of the guard that bear on the decision. */
export interface StreamRules {
  /** An explicit `format` makes `application/json` a candidate. */
  readonly explicitFormat: boolean;
  /** The result of the option `stream`: `true`, `false`, or undefined when it is not given. */
  readonly forced: boolean | undefined;
  /** The response is under a guard: as a stream, its message is kept. */
  readonly guarded: boolean;
  /** Whether a JSON body is a model's answer: the whole body if given to `end`, its first piece if given to `write`. */
  readonly isAnswer: () => boolean;
}

/** `later`: it is decided at the first body call. `hasBody` is whether `end` has a body. */
export function isStream(
  head: Candidate,
  call: DecidingCall,
  hasBody: boolean,
  options: StreamRules,
): boolean | 'later' {
  if (!mayHaveBody(head)) return false;
  if (options.forced === false) return false;
  if (options.forced !== true && isFile(head)) return false;
  const candidate =
    options.forced === true ||
    STREAM_TYPES.has(head.contentType) ||
    (options.explicitFormat && head.contentType === JSON_TYPE);
  if (candidate) return call !== 'end' || hasBody;
  if (options.guarded && head.contentType === JSON_TYPE) {
    // Only the body shows whether it is an answer; after `flushHeaders` our headers can no longer be added.
    if (call === 'writeHead') return 'later';
    return call !== 'flushHeaders' && hasBody && options.isAnswer();
  }
  if (!OPEN_TYPES.has(head.contentType)) return false;
  if (call === 'writeHead') return 'later';
  return call !== 'end';
}

function mayHaveBody({ method, status }: Candidate): boolean {
  if (method === 'HEAD' || status === 204 || status === 205) return false;
  return status >= 200 && status <= 299;
}

/** A file, or a part of one. */
function isFile({ status, contentType, contentLength, revalidates }: Candidate): boolean {
  if (status === PARTIAL_CONTENT) return true;
  return FILE_TYPES.has(contentType) && (contentLength !== undefined || revalidates);
}

/** `Text/Event-Stream; charset=utf-8` → `text/event-stream`. */
export function mediaType(header: unknown): string {
  const value = Array.isArray(header) ? header[0] : header;
  if (typeof value !== 'string') return '';
  return (value.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** `text/plain; charset="ISO-8859-1"` → `iso-8859-1`; '' for UTF-8 and none. */
export function charsetOf(header: unknown): string {
  const value = Array.isArray(header) ? header[0] : header;
  if (typeof value !== 'string') return '';
  const charset = /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(value)?.[1]?.toLowerCase() ?? '';
  return /^utf-?8$/.test(charset) ? '' : charset;
}

/** The headers given to `writeHead`, in any of its forms, as pairs. */
export function headerPairs(headers: unknown): [string, unknown][] {
  if (Array.isArray(headers)) {
    if (Array.isArray(headers[0])) return headers.map((pair) => [String(pair[0]), pair[1]]);
    const pairs: [string, unknown][] = [];
    for (let i = 0; i + 1 < headers.length; i += 2)
      pairs.push([String(headers[i]), headers[i + 1]]);
    return pairs;
  }
  return isObject(headers) ? Object.entries(headers) : [];
}
