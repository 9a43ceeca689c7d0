/** What lastchunk's own routes share: errors, the stream id and the offset of a request, and answers that are not streams. */
import { asMiddleware, type Middleware } from '../entry/middleware.ts';
import type { Response, RoutedRequest } from '../response/exchange.ts';

/**
 * A route as middleware. A rejection of `answer` goes to `next`, or is answered with 500 where there is no router; a response that
 * has begun is destroyed.
 */
export function asRoute(answer: (req: RoutedRequest, res: Response) => Promise<void>): Middleware {
  return asMiddleware((req, res, next) =>
    answer(req, res).catch((error: unknown) => {
      if (res.headersSent) res.destroy();
      else if (next === undefined) answerJson(res, 500, { error: 'internal error' });
      else next(error);
    }),
  );
}

/** `:streamId` of the route, or the last segment of the path where there is no router. */
export function idIn(req: RoutedRequest): string {
  const path = (req.url ?? '').split('?', 1)[0] ?? '';
  return req.params?.['streamId'] ?? path.slice(path.lastIndexOf('/') + 1);
}

/** Another instance may have the stream, but it cannot be reached now. */
export function answerAway(res: Response): void {
  res.setHeader('Retry-After', '1');
  answerJson(res, 503, { error: 'not available' });
}

/** A short answer that no cache keeps. */
export function answerJson(res: Response, status: number, body: object): void {
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json');
  res.setHeader('Cache-Control', 'no-store');
  res.end(JSON.stringify(body));
}

/**
 * `?offset=`, else `Last-Event-ID`, in bytes of the body; 0 where there is neither. `undefined` for an invalid offset: negative,
 * a fraction, not a number, or given twice.
 */
export function offsetOf(req: RoutedRequest): number | undefined {
  const named = namedOffsets(req);
  if (named.length > 1) return undefined;
  const given = named[0] ?? req.headers['last-event-id'] ?? '0';
  if (typeof given !== 'string' || !/^\d{1,15}$/.test(given)) return undefined;
  return Number(given);
}

/** Whether the offset comes from `Last-Event-ID`: then an `EventSource` lost its connection, or saw a regular end. */
export function isByEventId(req: RoutedRequest): boolean {
  return req.headers['last-event-id'] !== undefined && namedOffsets(req).length === 0;
}

function namedOffsets({ url = '' }: RoutedRequest): readonly string[] {
  const [, query = ''] = url.split('?', 2);
  return new URLSearchParams(query).getAll('offset');
}
