/** The head of a response, and the two headers that lastchunk adds to it. */
import { charsetOf, headerPairs, mediaType, type ResponseHead } from '../response/is-stream.ts';
import type { Response } from '../response/exchange.ts';
import type { Stream } from '../lifecycle/stream.ts';
import { isObject } from '../../core/values.ts';

/** The head as it would be sent now; `given` are the arguments of a `writeHead` that is being called. */
export function headOf(res: Response, given: readonly unknown[] = []): ResponseHead {
  const [status, ...rest] = given;
  const pairs = headerPairs(rest.find(isObject));
  const header = (name: string): unknown =>
    pairs.find(([key]) => key.toLowerCase() === name)?.[1] ?? res.getHeader(name);
  const length = Number(header('content-length') ?? Number.NaN);
  return {
    status: typeof status === 'number' ? status : res.statusCode,
    contentType: mediaType(header('content-type')),
    charset: charsetOf(header('content-type')),
    contentEncoding: mediaType(header('content-encoding')),
    contentLength: Number.isInteger(length) ? length : undefined,
    revalidates: header('etag') !== undefined || header('accept-ranges') !== undefined,
  };
}

/** Puts our headers on a response whose head is not built yet. */
export function addHeaders(stream: Stream): void {
  const { res } = stream.exchange;
  if (!wantsHeaders(stream) || res.headersSent) return;
  for (const [name, value] of ownHeaders(stream)) res.setHeader(name, value);
}

/** Removes our headers again: Node refused the head. */
export function removeHeaders(stream: Stream): void {
  const { res } = stream.exchange;
  if (!wantsHeaders(stream) || res.headersSent) return;
  for (const [name] of ownHeaders(stream)) res.removeHeader(name);
}

/**
 * The arguments of `writeHead` with our headers in them: in the app's own form, so that its headers keep their order
 * and spelling.
 */
export function withHeaders(args: readonly unknown[], stream: Stream): unknown[] {
  if (!wantsHeaders(stream)) return [...args];
  const added = ownHeaders(stream);
  const at = args.findIndex(isObject);
  if (at < 0) return [...args.filter((arg) => arg !== undefined), Object.fromEntries(added)];
  const given = args[at];
  const merged = Array.isArray(given)
    ? [...given, ...(Array.isArray(given[0]) ? added : added.flat())]
    : { ...(given as object), ...Object.fromEntries(added) };
  return args.with(at, merged);
}

/**
 * Makes V8 flatten the text of the head. Node concatenates it from dozens of strings and keeps it as long as the response; until its
 * characters are read, V8 keeps each part, a kilobyte more than the text.
 */
export function flattenHead(res: Response): void {
  const { _header: head } = res as { _header?: string | null };
  if (typeof head === 'string') ANY.test(head);
}

/** Reading the text with a regular expression is never optimised away. */
const ANY = /\S/;

function wantsHeaders(stream: Stream): boolean {
  return stream.guarded && stream.settings.headers;
}

function ownHeaders(stream: Stream): [string, string][] {
  // An id of the app may contain characters that a header must not.
  return [
    ['X-Stream-Id', stream.id],
    ['X-Message-Id', encodeURIComponent(stream.identity.id)],
  ];
}
