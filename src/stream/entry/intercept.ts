/**
 * The response's own methods, wrapped on the instance. Each wrapper passes the call to the stream, then calls the original with
 * the caller's own arguments: never one more (compression breaks on a callback that the app did not give) and never one
 * less. Bytes are held below Node's response, which answers its calls itself; only two kinds of calls must not reach it, and are
 * answered here: writes for a client that is gone, and calls after an end that is held.
 */
import { type FrameIds, frameIdsFor } from '../body/frame-ids.ts';
import type { ResponseHead } from '../response/is-stream.ts';
import { isDestroyedByNode } from '../response/connection-events.ts';
import { H2_INTERNAL_ERROR, type Response } from '../response/exchange.ts';
import { putMethod } from '../response/shadow-property.ts';
import {
  handlerBegan,
  handlerDestroyed,
  handlerEnded,
  noticeClosed,
} from '../lifecycle/transitions.ts';
import type { Stream } from '../lifecycle/stream.ts';
import { decide, type DecidingBody } from './decide.ts';
import {
  answerAsOver,
  type Callback,
  closeDouble,
  closeWhenReleased,
  copied,
  discard,
  isBytes,
  lastFunction,
  type Methods,
  methodsOf,
  NAMES,
  noteReset,
} from './methods.ts';
import { addHeaders, flattenHead, headOf, removeHeaders, withHeaders } from './headers.ts';

/** How a write is handled: passed to Node; accepted and discarded; or answered as a write after the end. */
type WriteRoute = 'passes' | 'discarded' | 'too late';

/** One response whose methods are wrapped for its stream. */
export class InterceptedResponse {
  readonly #stream: Stream;
  readonly #methods: Methods;
  /** The response had `flush`, which compression adds: compression was mounted before us, as it must be. */
  readonly #hadFlush: boolean;
  /** An original method is running; it may call further methods of the response: `end` over HTTP/2 calls `write`. */
  #isNested = false;
  #givenHead: ResponseHead | undefined;
  #ids: FrameIds | undefined;

  constructor(stream: Stream) {
    const { res, h2 } = stream.exchange;
    this.#stream = stream;
    this.#methods = methodsOf(res);
    this.#hadFlush = typeof res.flush === 'function';
    this.#put(res);
    if (h2 !== undefined) noteReset(stream, h2);
  }

  /** Ends or destroys the response, bypassing the wrappers. */
  close(how: 'end' | 'destroy'): void {
    const { res, socket, hasConnection, h2 } = this.#stream.exchange;
    if (!hasConnection) closeDouble(this.#stream, this.#methods[how]);
    else if (how === 'end') Reflect.apply(this.#methods.end, res, []);
    else if (h2 === undefined) socket.destroy();
    else h2.close(H2_INTERNAL_ERROR);
  }

  #put(res: Response): void {
    const wrapped = InterceptedResponse.#wrappersOf(this);
    for (const name of NAMES) {
      if (typeof this.#methods[name] === 'function') putMethod(res, name, wrapped[name]);
    }
  }

  /** One function for each method; `this` is the object that it is called on, which may be a proxy of the response. */
  static #wrappersOf(intercepted: InterceptedResponse): Methods {
    return {
      write(...args) {
        return intercepted.#write(this, args);
      },
      end(...args) {
        const result = intercepted.#end(this, args);
        if (!intercepted.#isNested) closeWhenReleased(intercepted.#stream);
        return result;
      },
      writeHead(...args) {
        return intercepted.#writeHead(this, args);
      },
      destroy(...args) {
        return intercepted.#destroy(this, args);
      },
      flushHeaders(...args) {
        return intercepted.#flushHeaders(this, args);
      },
    };
  }

  #call(method: Methods[keyof Methods], self: Response, args: unknown[]): unknown {
    const { hold, body } = this.#stream;
    const isKept = hold.active || body?.keepsWrites === true;
    return Reflect.apply(method, self, isKept ? copied(args) : args);
  }

  #write(self: Response, args: unknown[]): unknown {
    const { hold, timings } = this.#stream;
    const route = this.#routeOf(args);
    if (route === 'discarded') return discard(lastFunction(...args));
    if (route === 'too late') return this.#callLate('write', self, args);
    const flowing = this.#call(this.#methods.write, self, args);
    hold.wrote();
    if (flowing === false && this.#stream.concerned && !hold.active) timings.beginBackpressure();
    return flowing;
  }

  /** Decides how a write is handled; the stream takes its chunk, if it belongs to the stream. */
  #routeOf(args: unknown[]): WriteRoute {
    const stream = this.#stream;
    const [chunk] = args;
    if (this.#isNested) return 'passes';
    noticeClosed(stream);
    // Node refuses any other type of chunk; the handler may then send another answer.
    if (stream.phase.kind === 'undecided' && isBytes(chunk)) this.#beginWrite(chunk);
    if (!stream.concerned) return 'passes';
    const { res } = stream.exchange;
    // A first write builds the head: code that reads `headersSent` must not answer a second time.
    if (stream.phase.clientGone && !res.headersSent) res.writeHead(res.statusCode);
    if (stream.phase.discardsWrites) return 'discarded';
    if (stream.endCalled) return stream.hold.isLate ? 'too late' : 'passes';
    if (chunk === '') return stream.phase.clientGone ? 'discarded' : 'passes';
    this.#ids?.addTo(args);
    if (stream.take(args[0], args[1]) === 'invalid') return 'passes';
    return stream.phase.clientGone ? 'discarded' : 'passes';
  }

  /** A first write: the stream begins once Node has taken the head, which it may refuse. */
  #beginWrite(chunk: unknown): void {
    const stream = this.#stream;
    const { res } = stream.exchange;
    const head = this.#ask({ call: 'write', hasBody: true, chunk });
    if (head === undefined) return;
    addHeaders(stream);
    if (!stream.phase.clientGone && !res.headersSent) {
      this.#nested(() => res.writeHead(res.statusCode));
      flattenHead(res);
    }
    this.#begin(head);
  }

  #flushHeaders(self: Response, args: unknown[]): unknown {
    const stream = this.#stream;
    const isOpen = !this.#isNested && !stream.exchange.res.headersSent;
    const head = isOpen ? this.#ask({ call: 'flushHeaders', hasBody: true }) : undefined;
    if (head === undefined) return this.#call(this.#methods.flushHeaders, self, args);
    addHeaders(stream);
    const result = this.#nested(() => this.#call(this.#methods.flushHeaders, self, args));
    this.#begin(head);
    return result;
  }

  #writeHead(self: Response, args: unknown[]): unknown {
    const stream = this.#stream;
    const { res } = stream.exchange;
    const isOpen = !this.#isNested && !res.headersSent;
    const head = isOpen
      ? this.#ask({ call: 'writeHead', hasBody: true }, headOf(res, args))
      : undefined;
    const given = head === undefined ? args : withHeaders(args, stream);
    const result = this.#call(this.#methods.writeHead, self, given);
    if (head !== undefined) this.#begin(head);
    if (stream.phase.kind === 'stream') flattenHead(res);
    return result;
  }

  #destroy(self: Response, args: unknown[]): unknown {
    const stream = this.#stream;
    // The response of an adapter destroys itself in its `end`.
    if (this.#isNested) return this.#call(this.#methods.destroy, self, args);
    // Its handler goes on without its client, like that of the response before it on the connection.
    if (stream.phase.isDetached && isDestroyedByNode(stream.exchange, args[0])) return self;
    const refused = stream.concerned && !handlerDestroyed(stream, args[0]);
    // Without lastchunk the response would be over and detached from its connection, so this would do nothing.
    if (refused || (stream.hold.active && stream.hold.isLate))
      return stream.exchange.h2 === undefined ? self : undefined;
    stream.hold.handlerDestroys(args[0]);
    closeWhenReleased(stream);
    return this.#call(this.#methods.destroy, self, args);
  }

  /** A call of `end`, by whichever overload. */
  #end(self: Response, args: unknown[]): unknown {
    const stream = this.#stream;
    const [chunk, encoding, callback] = args;
    const hasBody =
      typeof chunk !== 'function' && chunk !== undefined && chunk !== null && chunk !== '';
    if (!this.#isNested) noticeClosed(stream);
    const isAnswer = !this.#isNested && (!hasBody || isBytes(chunk));
    const head = isAnswer ? this.#ask({ call: 'end', hasBody, chunk }) : undefined;
    if (head !== undefined) addHeaders(stream);
    if (head !== undefined && stream.phase.clientGone) this.#begin(head);
    const begins = stream.phase.kind === 'undecided' ? head : undefined;
    if (begins === undefined && !stream.concerned) return this.#call(this.#methods.end, self, args);
    const done = lastFunction(chunk, encoding, callback);
    if (stream.endCalled) return this.#endAgain(self, args, hasBody, done);
    if (!this.#isNested) this.#ids?.addTo(args);
    const isDiscarded = stream.phase.clientGone || stream.phase.discardsWrites;
    if (!isDiscarded) return this.#endHeld(self, args, { hasBody, begins });
    if (hasBody && !stream.phase.discardsWrites && stream.take(args[0], encoding) === 'invalid') {
      return this.#call(this.#methods.end, self, args);
    }
    handlerEnded(stream, done);
    if (!stream.phase.clientGone) discard(done);
    return self;
  }

  /** Calls Node's own `end`, under a hold until it is certain whether its bytes have to wait. */
  #endHeld(
    self: Response,
    args: unknown[],
    { hasBody, begins }: { readonly hasBody: boolean; readonly begins: ResponseHead | undefined },
  ): unknown {
    const stream = this.#stream;
    const { hold } = stream;
    if (stream.guarded) hold.begin();
    let result: unknown;
    try {
      result = this.#nested(() => this.#call(this.#methods.end, self, args));
    } catch (error) {
      // The response has not ended: the hold is released as if `end` had not been called.
      stream.releaseUnlessWaiting();
      throw error;
    }
    hold.wrote();
    if (begins !== undefined) this.#begin(begins);
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
    const { phase, hold, exchange } = this.#stream;
    if (phase.clientGone || phase.discardsWrites) {
      discard(done);
      return self;
    }
    // Over HTTP/2 `end` calls `write`, whose wrapper answers.
    const isLate = hold.isLate && hasBody && exchange.h2 === undefined;
    return isLate ? this.#callLate('end', self, args) : this.#call(this.#methods.end, self, args);
  }

  #callLate(name: 'write' | 'end', self: Response, args: unknown[]): unknown {
    const call = (): unknown => this.#call(this.#methods[name], self, args);
    return answerAsOver(this.#stream.exchange, args, call);
  }

  /** Decides, once, whether the response is a stream; returns its head if it is, and the caller then begins the stream. */
  #ask(body: DecidingBody, given?: ResponseHead): ResponseHead | undefined {
    const stream = this.#stream;
    if (stream.phase.kind !== 'undecided') return undefined;
    const { res } = stream.exchange;
    const head = given ?? (res.headersSent ? this.#givenHead : undefined) ?? headOf(res);
    const answer = decide(stream, head, body);
    // Kept, because headers given to `writeHead` cannot be read from the response.
    if (answer === 'later') this.#givenHead = given;
    if (answer !== 'stream') return undefined;
    this.#ids = frameIdsFor(stream.settings, stream.environment, head);
    return head;
  }

  /** Runs a call that the stream has already recorded; the methods that it calls inside are not recorded again. */
  #nested<T>(call: () => T): T {
    const { kind } = this.#stream.phase;
    try {
      this.#isNested = true;
      return call();
    } catch (error) {
      // Another answer will follow, such as an error page.
      if (kind === 'undecided') removeHeaders(this.#stream);
      throw error;
    } finally {
      this.#isNested = false;
    }
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
