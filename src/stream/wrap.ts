/**
 * The response's own methods, wrapped on the instance. Each wrapper asks the stream, then calls the original with the
 * caller's own arguments: never one more (compression trips over a callback that the app did not give) and never one
 * less. What the stream does not want on the wire is answered as Node would for a client that is there.
 */
import type { ServerHttp2Stream } from 'node:http2';
import { type DecidingCall, isStream } from './decide.ts';
import type { Response } from './exchange.ts';
import { addHeaders, forcedBy, type Head, headOf, withHeaders } from './head.ts';
import { handlerBegan, handlerDestroyed, handlerEnded } from './handler.ts';
import type { Stream } from './stream.ts';
import type { StreamHooks } from './hooks.ts';

type Method = (this: Response, ...args: unknown[]) => unknown;
type Callback = (error?: Error | null) => void;

/** Methods that let bytes out or change what comes after them, replayed in order while a frame is held. */
const REPLAYED = ['flush', 'flushHeaders', 'cork', 'uncork', 'addTrailers'] as const;

/** `NGHTTP2_INTERNAL_ERROR` (RFC 9113, section 7): an HTTP/2 stream that must not look finished. */
const H2_INTERNAL_ERROR = 2;

/** `NGHTTP2_CANCEL`: the stream is no longer wanted. */
const H2_CANCEL = 8;

/**
 * Wraps the response of `stream`; `onWrongOrder` is told when compression stands behind the guard. Returns what
 * ends or destroys the response without asking the stream.
 */
export function wrapResponse(stream: Stream, onWrongOrder: () => void): StreamHooks['close'] {
  const { res, socket, h2 } = stream.exchange;
  // The typings give each method its own signature; here arguments are only passed on.
  const methods = res as unknown as Record<string, Method | undefined>;
  const original = (name: string): Method => methods[name] ?? (() => undefined);
  const end = original('end');
  const decide = createDecider(stream, onWrongOrder);
  const wrapped: Record<string, Method> = {
    write: wrapWrite(stream, original('write'), decide),
    end: wrapEnd(stream, end, decide),
    writeHead: wrapWriteHead(stream, original('writeHead'), decide),
    destroy: wrapDestroy(stream, original('destroy')),
  };
  for (const name of REPLAYED) {
    const method = methods[name];
    if (method !== undefined) wrapped[name] = wrapReplayed(stream, name, method, decide);
  }
  for (const [name, value] of Object.entries(wrapped)) {
    Object.defineProperty(res, name, { value, configurable: true, writable: true });
  }
  if (h2 !== undefined) noteReset(stream, h2);
  return (how) => {
    if (how === 'end') Reflect.apply(end, res, []);
    else if (h2 === undefined) socket.destroy();
    else h2.close(H2_INTERNAL_ERROR);
  };
}

/**
 * A reset looks the same from either side, unless it is seen being made. `NGHTTP2_CANCEL` is not: it is what Node
 * itself closes every stream with when a client's connection goes.
 */
function noteReset(stream: Stream, h2: ServerHttp2Stream): void {
  const close = h2.close.bind(h2);
  h2.close = (code, callback) => {
    stream.resetHere = code !== undefined && code !== 0 && code !== H2_CANCEL;
    close(code, callback);
  };
}

/** Asks, while it is open, whether the response is a stream; true when it has just become one. */
type Decider = (call: DecidingCall, hasBody: boolean, given?: Head) => boolean;

function createDecider(stream: Stream, onWrongOrder: () => void): Decider {
  const { res } = stream.exchange;
  const flushAtStart = typeof res.flush === 'function';
  return (call, hasBody, given) => {
    if (stream.kind !== 'undecided') return false;
    const head = given ?? headOf(res);
    const kind = isStream({ method: stream.method, ...head }, call, hasBody, {
      explicitFormat: stream.settings.format !== 'auto',
      forced: forcedBy(stream),
    });
    if (kind === 'later') return false;
    if (!kind) {
      stream.isOther();
      return false;
    }
    handlerBegan(stream, head);
    if (head.contentEncoding !== '' && !flushAtStart && typeof res.flush === 'function')
      onWrongOrder();
    return true;
  };
}

function wrapWrite(stream: Stream, write: Method, decide: Decider): Method {
  const { res } = stream.exchange;
  return function (chunk, encoding, callback) {
    if (stream.kind === 'undecided' && decide('write', true)) addHeaders(stream);
    if (!stream.concerned) return Reflect.apply(write, this, arguments);
    const done = lastFunction(encoding, callback);
    // Its head is built, as by any first write: who asks `headersSent` must not answer a second time.
    if (stream.gone && !res.headersSent) res.writeHead(res.statusCode);
    if (stream.deaf) return swallow(done);
    if (stream.endCalled) {
      if (stream.hold.pretendsEnd) return writeAfterEnd(stream, done);
      return Reflect.apply(write, this, arguments);
    }
    if (chunk === '' && stream.gone) return swallow(done);
    if (chunk === '' || stream.take(chunk, encoding, false) === 'invalid') {
      return Reflect.apply(write, this, arguments);
    }
    if (stream.gone) return swallow(done);
    if (stream.hold.active) {
      if (!res.headersSent) res.writeHead(res.statusCode);
      const args = copied(arguments);
      stream.hold.push(() => Reflect.apply(write, res, args), done);
      return true;
    }
    const flowing = Reflect.apply(write, this, arguments);
    if (flowing === false) stream.pulse.full();
    return flowing;
  };
}

function wrapEnd(stream: Stream, end: Method, decide: Decider): Method {
  const { res } = stream.exchange;
  return function (chunk, encoding, callback) {
    const hasBody =
      typeof chunk !== 'function' && chunk !== undefined && chunk !== null && chunk !== '';
    if (stream.kind === 'undecided' && decide('end', hasBody)) addHeaders(stream);
    if (!stream.concerned) return Reflect.apply(end, this, arguments);
    const done = lastFunction(chunk, encoding, callback);
    if (stream.endCalled) {
      endAgain(stream, hasBody, () => Reflect.apply(end, this, arguments), done);
      return this;
    }
    if (hasBody && !stream.deaf && stream.take(chunk, encoding, true) === 'invalid') {
      return Reflect.apply(end, this, arguments);
    }
    handlerEnded(stream, done);
    if (stream.gone) return this;
    if (stream.deaf) {
      swallow(done);
      return this;
    }
    if (!stream.hold.active) return Reflect.apply(end, this, arguments);
    const args = copied(arguments);
    stream.hold.pushEnd(() => Reflect.apply(end, res, args), done);
    return this;
  };
}

function wrapWriteHead(stream: Stream, writeHead: Method, decide: Decider): Method {
  return function (...args) {
    const open = stream.kind === 'undecided' && !stream.exchange.res.headersSent;
    const begins = open && decide('writeHead', true, headOf(stream.exchange.res, args));
    return Reflect.apply(writeHead, this, begins ? withHeaders(args, stream) : args);
  };
}

function wrapDestroy(stream: Stream, destroy: Method): Method {
  return function (error) {
    if (stream.concerned && handlerDestroyed(stream, error)) return this;
    return Reflect.apply(destroy, this, arguments);
  };
}

function wrapReplayed(
  stream: Stream,
  name: (typeof REPLAYED)[number],
  method: Method,
  decide: Decider,
): Method {
  const { res } = stream.exchange;
  return function (...args) {
    if (name === 'flushHeaders' && !res.headersSent && decide(name, true)) addHeaders(stream);
    if (!stream.concerned) return Reflect.apply(method, this, args);
    if (stream.gone || stream.deaf) return undefined;
    if (name === 'uncork') stream.body?.flushLog();
    if (!isHeld(stream, name)) return Reflect.apply(method, this, args);
    stream.hold.push(() => Reflect.apply(method, res, args));
    return undefined;
  };
}

/**
 * Whether a call has to wait for the hold. An `uncork` whose `cork` came before the hold lets out what was written
 * before it; Node's own, a tick after each write, is one of these on Node 26.
 */
function isHeld({ hold }: Stream, name: (typeof REPLAYED)[number]): boolean {
  if (!hold.active) return false;
  if (name === 'cork') hold.corks += 1;
  if (name !== 'uncork') return true;
  if (hold.corks === 0) return false;
  hold.corks -= 1;
  return true;
}

/** A second `end`: Node's own answer, except where Node does not know of the first. */
function endAgain(
  stream: Stream,
  hasBody: boolean,
  end: () => unknown,
  done: Callback | undefined,
): void {
  const { res, h2 } = stream.exchange;
  if (stream.hold.pretendsEnd) {
    if (done !== undefined && h2 !== undefined) res.once('finish', done);
  } else if (stream.gone || stream.deaf) swallow(done);
  // With a body it is an error, which Node tells at once.
  else if (hasBody) end();
  else stream.hold.endAgain(end);
}

/** What `write` does on a client that is gone, or in a stream that is over: it works, and nothing happens. */
function swallow(callback: Callback | undefined): true {
  if (callback !== undefined) process.nextTick(callback);
  return true;
}

/** The answer to a write after the end, where those below do not know of the end yet; compression gives none. */
function writeAfterEnd(stream: Stream, callback: Callback | undefined): false {
  if (stream.exchange.h2 === undefined) return false;
  const error = Object.assign(new Error('write after end'), { code: 'ERR_STREAM_WRITE_AFTER_END' });
  if (callback !== undefined) process.nextTick(callback, error);
  return false;
}

/** The callback of a call, wherever its overload has it. */
function lastFunction(...args: unknown[]): Callback | undefined {
  const found = args.find((arg) => typeof arg === 'function');
  // A function in this place is what Node would call as the callback.
  return found as Callback | undefined;
}

/** The arguments of a call that waits: bytes are copied, because handlers reuse their buffers. */
function copied(args: IArguments): unknown[] {
  const [chunk, ...rest] = Array.from(args);
  if (args.length === 0) return [];
  return [chunk instanceof Uint8Array ? Buffer.from(chunk) : chunk, ...rest];
}
