/**
 * The response's own methods, wrapped on the instance. Each wrapper asks the stream, then calls the original with the
 * caller's own arguments: never one more (compression trips over a callback that the app did not give) and never one
 * less. What is held is held below Node's response, which answers for itself; here only those calls are answered that
 * must not reach it: what is written for a client that is gone, and what comes after an end that is held.
 */
import type { ServerHttp2Stream } from 'node:http2';
import { type DecidingCall, isStream, type ResponseHead } from '../response/is-stream.ts';
import type { Response } from '../response/exchange.ts';
import { putMethod } from '../response/shadow-property.ts';
import { handlerBegan, handlerDestroyed, handlerEnded } from '../lifecycle/transitions.ts';
import type { Stream } from '../lifecycle/stream.ts';
import { addHeaders, flattenHead, forcedBy, headOf, withHeaders } from './headers.ts';

type Method = (this: Response, ...args: unknown[]) => unknown;
type Callback = (error?: Error | null) => void;

/** All that are wrapped. */
const NAMES = ['write', 'end', 'writeHead', 'destroy', 'flushHeaders'] as const;

/** The methods of a response, before they are wrapped. */
type Methods = Readonly<Record<(typeof NAMES)[number], Method>>;

/** `NGHTTP2_CANCEL`: the stream is no longer wanted. */
const H2_CANCEL = 8;

/** `NGHTTP2_INTERNAL_ERROR` (RFC 9113, section 7): an HTTP/2 stream that must not look finished. */
const H2_INTERNAL_ERROR = 2;

/** What becomes of a call of `write`. */
type WriteRoute =
  /** Node's own answer: it is none of the stream's business, or it was taken. */
  | 'passes'
  /** It works, and nothing happens. */
  | 'discarded'
  /** It comes after an end that is held, when a bare response would be over. */
  | 'too late';

/** One response whose methods ask its stream. */
export class InterceptedResponse {
  readonly #stream: Stream;
  readonly #methods: Methods;
  /** Compression gives a response `flush`; it has to stand before us. */
  readonly #hadFlush: boolean;
  /** Node's own end is running, which over HTTP/2 calls `write`. */
  #isEnding = false;

  constructor(stream: Stream) {
    const { res, h2 } = stream.exchange;
    this.#stream = stream;
    this.#methods = methodsOf(res);
    this.#hadFlush = typeof res.flush === 'function';
    this.#put(res);
    if (h2 !== undefined) noteReset(stream, h2);
  }

  /** Ends or destroys the response without asking the stream. */
  close(how: 'end' | 'destroy'): void {
    const { res, socket, h2 } = this.#stream.exchange;
    if (how === 'end') Reflect.apply(this.#methods.end, res, []);
    else if (h2 === undefined) socket.destroy();
    else h2.close(H2_INTERNAL_ERROR);
  }

  #put(res: Response): void {
    const wrapped: Methods = {
      write: wrapper((self, args) => this.#write(self, args)),
      end: wrapper((self, args) => this.#end(self, args)),
      writeHead: wrapper((self, args) => this.#writeHead(self, args)),
      destroy: wrapper((self, args) => this.#destroy(self, args)),
      flushHeaders: wrapper((self, args) => {
        if (this.#decide('flushHeaders', true)) addHeaders(this.#stream);
        return this.#call('flushHeaders', self, args);
      }),
    };
    for (const name of NAMES) putMethod(res, name, wrapped[name]);
  }

  #call(name: keyof Methods, self: Response, args: unknown[]): unknown {
    return Reflect.apply(this.#methods[name], self, args);
  }

  #write(self: Response, args: unknown[]): unknown {
    const [chunk, encoding, callback] = args;
    const stream = this.#stream;
    const { hold } = stream;
    switch (this.#routeOf(chunk, encoding)) {
      case 'discarded':
        return discard(lastFunction(encoding, callback));
      case 'too late':
        return this.#callLate('write', self, args);
      case 'passes': {
        const flowing = this.#call('write', self, hold.active ? copied(args) : args);
        hold.wrote();
        if (flowing === false && stream.concerned && !hold.active) {
          stream.timings.beginBackpressure();
        }
        return flowing;
      }
    }
  }

  /** A chunk is being written: it is taken, if it is the stream's. */
  #routeOf(chunk: unknown, encoding: unknown): WriteRoute {
    const stream = this.#stream;
    if (this.#decide('write', true)) addHeaders(stream);
    if (!stream.concerned || this.#isEnding) return 'passes';
    const { res } = stream.exchange;
    // Its head is built, as by any first write: who asks `headersSent` must not answer a second time.
    if (stream.clientGone && !res.headersSent) res.writeHead(res.statusCode);
    if (stream.discardWrites) return 'discarded';
    if (stream.endCalled) return stream.hold.isLate ? 'too late' : 'passes';
    if (chunk === '') return stream.clientGone ? 'discarded' : 'passes';
    if (stream.take(chunk, encoding) === 'invalid') return 'passes';
    return stream.clientGone ? 'discarded' : 'passes';
  }

  #writeHead(self: Response, args: unknown[]): unknown {
    const stream = this.#stream;
    const { res } = stream.exchange;
    const open = stream.kind === 'undecided' && !res.headersSent;
    const begins = open && this.#decide('writeHead', true, headOf(res, args));
    const result = this.#call('writeHead', self, begins ? withHeaders(args, stream) : args);
    if (stream.kind === 'stream') flattenHead(res);
    return result;
  }

  #destroy(self: Response, args: unknown[]): unknown {
    const stream = this.#stream;
    if (stream.concerned && !handlerDestroyed(stream, args[0])) return self;
    // A bare response has left its connection by now, and nothing of this reaches it.
    if (stream.hold.isLate) return self;
    stream.hold.handlerDestroys(args[0]);
    return this.#call('destroy', self, args);
  }

  /** A call of `end`, by whichever overload. */
  #end(self: Response, args: unknown[]): unknown {
    const stream = this.#stream;
    const [chunk, encoding, callback] = args;
    const hasBody =
      typeof chunk !== 'function' && chunk !== undefined && chunk !== null && chunk !== '';
    if (this.#decide('end', hasBody)) addHeaders(stream);
    if (!stream.concerned) return this.#call('end', self, args);
    const done = lastFunction(chunk, encoding, callback);
    if (stream.endCalled) return this.#endAgain(self, args, hasBody, done);
    const isDiscarded = stream.clientGone || stream.discardWrites;
    if (!isDiscarded) return this.#endHeld(self, args, hasBody);
    if (hasBody && !stream.discardWrites && stream.take(chunk, encoding) === 'invalid') {
      return this.#call('end', self, args);
    }
    handlerEnded(stream, done);
    if (!stream.clientGone) discard(done);
    return self;
  }

  /** Node's own end, with its bytes kept back until the stream knows whether they have to wait. */
  #endHeld(self: Response, args: unknown[], hasBody: boolean): unknown {
    const stream = this.#stream;
    const { hold } = stream;
    if (stream.guarded) hold.begin();
    let result: unknown;
    this.#isEnding = true;
    try {
      result = this.#call('end', self, hold.active ? copied(args) : args);
    } catch (error) {
      // The response has not ended: what it goes on with is as if this had not been called.
      stream.releaseUnlessWaiting();
      throw error;
    } finally {
      this.#isEnding = false;
    }
    hold.wrote();
    if (hasBody) stream.take(args[0], args[1], true);
    handlerEnded(stream, undefined);
    stream.releaseUnlessWaiting();
    if (hold.active) hold.ended();
    return result;
  }

  #endAgain(
    self: Response,
    args: unknown[],
    hasBody: boolean,
    done: Callback | undefined,
  ): unknown {
    const { clientGone, discardWrites, hold } = this.#stream;
    if (clientGone || discardWrites) {
      discard(done);
      return self;
    }
    return hold.isLate && hasBody
      ? this.#callLate('end', self, args)
      : this.#call('end', self, args);
  }

  /** The answer of a response that is over: no `error` event, which nobody expects who clears a timer at `close`. */
  #callLate(name: 'write' | 'end', self: Response, args: unknown[]): unknown {
    const { res, h2 } = this.#stream.exchange;
    if (h2 === undefined) {
      // Node asks this alone whether to emit the error.
      const { destroyed } = res;
      res.destroyed = true;
      try {
        return this.#call(name, self, args);
      } finally {
        res.destroyed = destroyed;
      }
    }
    const message = 'write after end';
    const error = Object.assign(new Error(message), { code: 'ERR_STREAM_WRITE_AFTER_END' });
    const callback = lastFunction(...args);
    if (callback !== undefined && name === 'write') process.nextTick(callback, error);
    return name === 'write' ? false : self;
  }

  /** Asks, while it is open, whether the response is a stream; true when it has just become one. */
  #decide(call: DecidingCall, hasBody: boolean, given?: ResponseHead): boolean {
    const stream = this.#stream;
    const { res } = stream.exchange;
    if (stream.kind !== 'undecided' || (call === 'flushHeaders' && res.headersSent)) return false;
    const head = given ?? headOf(res);
    const kind = isStream({ method: stream.method, ...head }, call, hasBody, {
      explicitFormat: stream.settings.format !== 'auto',
      forced: forcedBy(stream),
    });
    if (kind === 'later') return false;
    if (!kind) {
      stream.becomeOther();
      return false;
    }
    this.#begin(head);
    return true;
  }

  #begin(head: ResponseHead): void {
    const stream = this.#stream;
    handlerBegan(stream, head);
    const isCompressedAfterUs = !this.#hadFlush && typeof stream.exchange.res.flush === 'function';
    if (head.contentEncoding === '' || !isCompressedAfterUs) return;
    const order = 'compression() must stand before observe() and guard()';
    stream.environment.warnOnce('order', order);
  }
}

/** A method that is put on a response; `self` is what it is called on, which may be a proxy of it. */
function wrapper(answer: (self: Response, args: unknown[]) => unknown): Method {
  return function (this: Response, ...args: unknown[]) {
    return answer(this, args);
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

/** What a write does on a client that is gone, or in a stream that is over: it works, and nothing happens. */
function discard(callback: Callback | undefined): true {
  if (callback !== undefined) process.nextTick(callback);
  return true;
}

/** The callback of a call, wherever its overload has it. */
function lastFunction(...args: unknown[]): Callback | undefined {
  const found = args.find((arg) => typeof arg === 'function');
  // A function in this place is what Node would call as the callback.
  return found as Callback | undefined;
}

/** The arguments of a call that waits: bytes are copied, because handlers reuse their buffers. */
function copied(args: unknown[]): unknown[] {
  const [chunk, ...rest] = args;
  return chunk instanceof Uint8Array ? [Buffer.from(chunk), ...rest] : args;
}

/** The methods of a response; nearly always those of its class, and then one record for all of them. */
function methodsOf(res: Response): Methods {
  // The typings give each method its own signature; here arguments are only passed on.
  const own = res as unknown as Record<string, Method>;
  const known = lastMethods;
  if (known !== undefined && NAMES.every((name) => known[name] === own[name])) return known;
  // Each of the names was given its method.
  const methods = Object.fromEntries(NAMES.map((name) => [name, own[name]])) as Methods;
  // What somebody has put on the response itself would keep that response alive.
  if (!NAMES.some((name) => Object.hasOwn(res, name))) lastMethods = methods;
  return methods;
}

let lastMethods: Methods | undefined;
