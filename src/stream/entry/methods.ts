/** The methods of a response that are wrapped: the originals, and helpers for their arguments and answers. */
import type { ServerHttp2Stream } from 'node:http2';
import type { Stream } from '../lifecycle/stream.ts';
import type { Exchange, Response } from '../response/exchange.ts';

/** A method with any arguments. */
export type Method = (this: Response, ...args: unknown[]) => unknown;
/** The last argument of `write` and `end`. */
export type Callback = (error?: Error | null) => void;

/** All that are wrapped. */
export const NAMES = ['write', 'end', 'writeHead', 'destroy', 'flushHeaders'] as const;

/** The methods of a response, before they are wrapped. */
export type Methods = Readonly<Record<(typeof NAMES)[number], Method>>;

/** `NGHTTP2_CANCEL`: the stream is no longer wanted. */
const H2_CANCEL = 8;

/**
 * Notes that this process resets an HTTP/2 stream: afterwards a reset looks the same, whichever side made it. `NGHTTP2_CANCEL` does not
 * count, because Node itself closes every stream with it when the client's connection closes.
 */
export function noteReset(stream: Stream, h2: ServerHttp2Stream): void {
  const close = h2.close.bind(h2);
  h2.close = (code = 0, callback) => {
    const isAnEnd = code === 0 && stream.endCalled;
    if (!h2.closed && !isAnEnd && code !== H2_CANCEL) stream.resetHere = true;
    close(code, callback);
  };
}

/** Closes a response without a connection, which may lack the method, or need a socket that it does not have. */
export function closeDouble({ exchange, environment }: Stream, method: Method | undefined): void {
  try {
    if (typeof method === 'function') Reflect.apply(method, exchange.res, []);
  } catch (error) {
    environment.onInternalError('stream', error);
  }
  exchange.socket.destroy();
}

/** The handler ended or destroyed its response: without a connection no event follows, so the idle socket is destroyed. */
export function closeWhenReleased(stream: Stream): void {
  const { exchange, phase } = stream;
  if (exchange.hasConnection || phase.isClosing) return;
  void stream.released.then(() => exchange.socket.destroy());
}

/** Answers as a response that is over: without an `error` event, which a handler that stops at `close` does not expect. */
export function answerAsOver({ res, h2 }: Exchange, args: unknown[], call: () => unknown): unknown {
  if (h2 !== undefined) return refuseWrite(lastFunction(...args));
  // Node emits the error only if this is false.
  const { destroyed } = res;
  res.destroyed = true;
  try {
    return call();
  } finally {
    res.destroyed = destroyed;
  }
}

/** The answer to a write on an HTTP/2 response that is over. */
function refuseWrite(callback: Callback | undefined): false {
  const error = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' });
  if (callback !== undefined) process.nextTick(callback, error);
  return false;
}

/** A write for a client that has left, or in a stream that is over: it succeeds and is discarded. */
export function discard(callback: Callback | undefined): true {
  if (callback !== undefined) process.nextTick(callback);
  return true;
}

/** The callback among the arguments of a call, in whichever place its overload has it. */
export function lastFunction(...args: unknown[]): Callback | undefined {
  const found = args.find((arg) => typeof arg === 'function');
  // A function in this place is what Node would call as the callback.
  return found as Callback | undefined;
}

/** Whether Node accepts it as a chunk. */
export function isBytes(chunk: unknown): boolean {
  return typeof chunk === 'string' || chunk instanceof Uint8Array;
}

/** The arguments of a call whose bytes are sent later: bytes are copied, because handlers reuse their buffers. */
export function copied(args: unknown[]): unknown[] {
  const [chunk, ...rest] = args;
  return chunk instanceof Uint8Array ? [Buffer.from(chunk), ...rest] : args;
}

/** The methods of a response. They are nearly always those of its class, and then all responses share one record. */
export function methodsOf(res: Response): Methods {
  // The typings give each method its own signature; here arguments are only passed on.
  const own = res as unknown as Record<string, Method>;
  const known = lastMethods;
  if (known !== undefined && NAMES.every((name) => known[name] === own[name])) return known;
  // Each of the names was given its method.
  const methods = Object.fromEntries(NAMES.map((name) => [name, own[name]])) as Methods;
  // Not if one is a property of the response itself: the shared record would keep that response in memory.
  if (!NAMES.some((name) => Object.hasOwn(res, name))) lastMethods = methods;
  return methods;
}

let lastMethods: Methods | undefined;
