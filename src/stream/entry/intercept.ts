/**
 * The response's own methods, wrapped on the instance. Each wrapper asks the stream, then calls the original with the
 * caller's own arguments: never one more (compression trips over a callback that the app did not give) and never one
 * less. What the stream does not want on the wire is answered as Node would for a client that is there.
 */
import type { ServerHttp2Stream } from 'node:http2';
import type { Response } from '../response/exchange.ts';
import { addHeaders, flattenHead, headOf, withHeaders } from './headers.ts';
import { handlerDestroyed, handlerEnded } from '../lifecycle/transitions.ts';
import type { Stream } from '../lifecycle/stream.ts';
import { type Callback, copied, type Method, type Replayed, Wrapping } from './wrapping.ts';

/** `NGHTTP2_CANCEL`: the stream is no longer wanted. */
const H2_CANCEL = 8;

/** Wraps the response of `stream`. Returns what ends or destroys it without asking the stream. */
export function wrapResponse(stream: Stream): Wrapping {
  const { res, h2 } = stream.exchange;
  const wrapping = new Wrapping(stream);
  put(res, wrappedMethods(wrapping));
  if (h2 !== undefined) noteReset(stream, h2);
  return wrapping;
}

/** Puts methods on a response, in the place of those that it has: only one behind compression has `flush`. */
function put(res: Response, methods: Record<string, Method>): void {
  for (const [name, value] of Object.entries(methods)) {
    if (name in res)
      Object.defineProperty(res, name, { value, configurable: true, writable: true });
  }
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

/**
 * The methods that are put on the response. They are functions of their own, whatever `this` they are called with, and
 * share the one thing they know.
 */
function wrappedMethods(wrapping: Wrapping): Record<string, Method> {
  const { stream } = wrapping;
  return {
    write(chunk, encoding, callback) {
      switch (wrapping.fateOf(chunk, encoding)) {
        case 'flows': {
          const flowing = Reflect.apply(wrapping.methods.write, this, arguments);
          if (flowing === false) stream.timings.beginBackpressure();
          return flowing;
        }
        case 'passes':
          return Reflect.apply(wrapping.methods.write, this, arguments);
        case 'swallowed':
          return swallow(lastFunction(encoding, callback));
        case 'too-late':
          return writeAfterEnd(stream, lastFunction(encoding, callback));
        case 'held':
          wrapForHold(wrapping);
          return wrapping.holdWrite(arguments, lastFunction(encoding, callback));
      }
    },
    end() {
      return end(wrapping, this, arguments);
    },
    writeHead(...args) {
      const open = stream.kind === 'undecided' && !stream.exchange.res.headersSent;
      const begins = open && wrapping.decide('writeHead', true, headOf(stream.exchange.res, args));
      const given = begins ? withHeaders(args, stream) : args;
      const result = Reflect.apply(wrapping.methods.writeHead, this, given);
      if (stream.kind === 'stream') flattenHead(stream.exchange.res);
      return result;
    },
    destroy(error) {
      const when = stream.concerned ? handlerDestroyed(stream, error) : 'now';
      if (when === 'now') return Reflect.apply(wrapping.methods.destroy, this, arguments);
      if (when === 'held') {
        wrapForHold(wrapping);
        wrapping.destroyLater(Array.from(arguments));
      }
      return this;
    },
    flush(...args) {
      return replay(wrapping, 'flush', this, args);
    },
    flushHeaders(...args) {
      return replay(wrapping, 'flushHeaders', this, args);
    },
    uncork(...args) {
      return replay(wrapping, 'uncork', this, args);
    },
  };
}

/** These change nothing but what comes after them: they are only wrapped when that is held. */
function wrapForHold(wrapping: Wrapping): void {
  if (wrapping.wrappedForHold) return;
  wrapping.wrappedForHold = true;
  put(wrapping.stream.exchange.res, {
    cork(...args) {
      return replay(wrapping, 'cork', this, args);
    },
    addTrailers(...args) {
      return replay(wrapping, 'addTrailers', this, args);
    },
  });
}

/** A call of `end`, by whichever overload. */
function end(wrapping: Wrapping, self: Response, args: IArguments): unknown {
  const { stream } = wrapping;
  const [chunk, encoding, callback]: unknown[] = Array.from(args);
  const hasBody =
    typeof chunk !== 'function' && chunk !== undefined && chunk !== null && chunk !== '';
  if (stream.kind === 'undecided' && wrapping.decide('end', hasBody)) addHeaders(stream);
  if (!stream.concerned) return Reflect.apply(wrapping.methods.end, self, args);
  const done = lastFunction(chunk, encoding, callback);
  if (stream.endCalled) {
    endAgain(stream, hasBody, () => Reflect.apply(wrapping.methods.end, self, args), done);
    return self;
  }
  if (hasBody && !stream.discardWrites && stream.take(chunk, encoding, true) === 'invalid') {
    return Reflect.apply(wrapping.methods.end, self, args);
  }
  handlerEnded(stream, done);
  if (stream.clientGone) return self;
  if (stream.discardWrites) {
    swallow(done);
    return self;
  }
  if (!stream.hold.active) return Reflect.apply(wrapping.methods.end, self, args);
  const { res } = stream.exchange;
  const kept = copied(args);
  wrapForHold(wrapping);
  stream.hold.pushEnd(() => Reflect.apply(wrapping.methods.end, res, kept), done);
  return self;
}

/** A call of a method that waits while a frame is held. */
function replay(wrapping: Wrapping, name: Replayed, self: Response, args: unknown[]): unknown {
  const { stream, methods } = wrapping;
  const { res } = stream.exchange;
  const method = methods[name];
  if (name === 'flushHeaders' && !res.headersSent && wrapping.decide(name, true)) {
    addHeaders(stream);
  }
  if (!stream.concerned) return Reflect.apply(method, self, args);
  // Its `cork` was Node's own.
  const isOpen = name === 'uncork' && !wrapping.wrappedForHold;
  if ((stream.clientGone || stream.discardWrites) && !isOpen) return undefined;
  if (name === 'uncork') stream.body?.flushLog();
  if (!isHeld(stream, name)) return Reflect.apply(method, self, args);
  stream.hold.push(() => Reflect.apply(method, res, args));
  return undefined;
}

/**
 * Whether a call has to wait for the hold. An `uncork` whose `cork` came before the hold lets out what was written
 * before it; Node's own, a tick after each write, is one of these on Node 26.
 */
function isHeld({ hold }: Stream, name: Replayed): boolean {
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
  } else if (stream.clientGone || stream.discardWrites) swallow(done);
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
