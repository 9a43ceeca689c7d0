/** One request and its response, with the socket they came by, as Node gives them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';

/** What Express adds to a request; every field may be missing, since the guard works without Express. */
export interface RoutedRequest extends IncomingMessage {
  route?: { path?: unknown };
  baseUrl?: string;
  params?: Record<string, string | undefined>;
}

/** A response; `flush` is there behind compression. */
export type Response = ServerResponse & { flush?: () => void };

/** Express's `next`. */
export type Next = (error?: unknown) => void;

export interface Exchange {
  readonly req: RoutedRequest;
  readonly res: Response;
  /** Kept from the start: `res.socket` is null for a queued response and after the end. */
  readonly socket: Socket;
  /** The HTTP/2 stream behind the compatibility API, where `finish` and `writableFinished` lie about a reset. */
  readonly h2: ServerHttp2Stream | undefined;
}

export function exchangeOf(req: RoutedRequest, res: Response): Exchange {
  // Http2ServerResponse has `stream` where ServerResponse has none; the typings know only one of them.
  const h2 = (res as { stream?: ServerHttp2Stream }).stream;
  return { req, res, socket: req.socket, h2: req.httpVersionMajor === 2 ? h2 : undefined };
}
