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

/** The offset of a request. */
export interface RequestedOffset {
  /** In bytes of the body. */
  readonly offset: number;
  /** It is that of `Last-Event-ID`: an `EventSource` lost its connection, or saw a regular end. */
  readonly isByEventId: boolean;
}

/**
 * The greater of `?offset=` and `Last-Event-ID`; 0 where there is neither. An `EventSource` repeats its address when it connects again, so
 * the greater one is the later one. `undefined` for an invalid offset: negative, a fraction, not a number, or twice in the query. An
 * invalid `Last-Event-ID` beside a `?offset=` is ignored.
 */
export function offsetOf({ url = '', headers }: RoutedRequest): RequestedOffset | undefined {
  const [, query = ''] = url.split('?', 2);
  const [named, ...more] = new URLSearchParams(query).getAll('offset').map(bytesIn);
  const lastEventId = headers['last-event-id'];
  const byEventId = lastEventId === undefined ? undefined : bytesIn(String(lastEventId));
  if (more.length > 0 || Number.isNaN(named ?? byEventId ?? 0)) return undefined;
  const isByEventId = byEventId !== undefined && byEventId > (named ?? -1);
  return { offset: isByEventId ? byEventId : (named ?? 0), isByEventId };
}

/** `NaN` for what is no whole number. */
function bytesIn(given: string): number {
  return /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
}
