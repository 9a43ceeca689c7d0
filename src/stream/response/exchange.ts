/** One request and its response, with the socket they came by, as Node gives them. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { isObject } from '../../core/values.ts';
import type { OutputTarget } from './output-target.ts';

/** `NGHTTP2_INTERNAL_ERROR` (RFC 9113, section 7): closes an HTTP/2 stream that must not look finished. */
export const H2_INTERNAL_ERROR = 2;

/** What Express adds to a request; every field may be missing, since the guard works without Express. */
export interface RoutedRequest extends IncomingMessage {
  route?: { path?: unknown };
  baseUrl?: string;
  params?: Record<string, string | undefined>;
}

/** A response; compression adds `flush`. */
export type Response = ServerResponse & { flush?: () => void };

/** Express's `next`. */
export type Next = (error?: unknown) => void;

export interface Exchange {
  readonly req: RoutedRequest;
  readonly res: Response;
  /**
   * The socket of the request: `res.socket` is null for a queued response and after the end. Without a connection it is an idle
   * stream of ours, which is destroyed when the response is over.
   */
  readonly socket: Socket;
  /** False for adapters of functions as a service and test doubles: then only the response shows its end. */
  readonly hasConnection: boolean;
  /** The HTTP/2 stream of the compatibility API, whose `finish` and `writableFinished` are wrong after a reset. */
  readonly h2: ServerHttp2Stream | undefined;
}

export function exchangeOf(req: RoutedRequest, res: Response): Exchange {
  // Http2ServerResponse has `stream` where ServerResponse has none; the typings know only one of them.
  const h2 = (res as { stream?: ServerHttp2Stream }).stream;
  if (req.httpVersionMajor === 2 && h2 !== undefined) {
    return { req, res, socket: req.socket, hasConnection: true, h2 };
  }
  const hasConnection = isConnection(req.socket) && (res.socket ?? req.socket) === req.socket;
  const socket = hasConnection ? req.socket : idleSocket();
  return { req, res, socket, hasConnection, h2: undefined };
}

/** Whether its client has left: `'close'` was emitted, or is about to be. A response of HTTP/2 has no `destroyed` of its own. */
export function isGone(res: Response): boolean {
  const { socket, h2 } = exchangeOf(res.req, res);
  return res.destroyed || (h2 ?? socket).destroyed;
}

/** The connection or HTTP/2 stream that sends the bytes of this response. */
export function outputTargetOf({ res, socket, hasConnection, h2 }: Exchange): OutputTarget {
  if (h2 !== undefined) return h2;
  if (hasConnection) return res.socket ?? socket;
  return canCarry(res.socket) ? res.socket : socket;
}

/** Whether it emits events, such as `'close'`, and can be destroyed. */
function isConnection(socket: unknown): boolean {
  if (!isObject(socket)) return false;
  const { destroyed, destroy, prependListener }: Partial<Socket> = socket;
  return (
    typeof destroyed === 'boolean' &&
    typeof destroy === 'function' &&
    typeof prependListener === 'function'
  );
}

/** Whether it has a method to write by, which can be shadowed. */
function canCarry(socket: unknown): socket is Socket {
  if (!isObject(socket) || !Object.isExtensible(socket)) return false;
  const { _write, write }: Partial<Socket> = socket;
  return typeof _write === 'function' || typeof write === 'function';
}

function idleSocket(): Socket {
  const idle = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  // Only members that every Duplex has are used of it.
  return idle as Socket;
}
