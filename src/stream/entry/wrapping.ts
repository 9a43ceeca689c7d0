/**
 * What the calls on one response mean to its stream, and the methods as they were before they were wrapped.
 */
import { type DecidingCall, isStream, type ResponseHead } from '../response/is-stream.ts';
import type { Response } from '../response/exchange.ts';
import { addHeaders, forcedBy, headOf } from './headers.ts';
import { handlerBegan } from '../lifecycle/transitions.ts';
import type { Stream } from '../lifecycle/stream.ts';

export type Method = (this: Response, ...args: unknown[]) => unknown;
export type Callback = (error?: Error | null) => void;

/** Methods that let bytes out or change what comes after them, replayed in order while a frame is held. */
const REPLAYED = ['flush', 'flushHeaders', 'cork', 'uncork', 'addTrailers'] as const;
export type Replayed = (typeof REPLAYED)[number];

/** All that are wrapped. A response lacks some of them: only one behind compression has `flush`. */
const NAMES = ['write', 'end', 'writeHead', 'destroy', ...REPLAYED] as const;

/** The methods of a response, before they are wrapped. */
export type Methods = Readonly<Record<(typeof NAMES)[number], Method>>;

/** `NGHTTP2_INTERNAL_ERROR` (RFC 9113, section 7): an HTTP/2 stream that must not look finished. */
const H2_INTERNAL_ERROR = 2;

/** What becomes of a call of `write`. */
type Fate =
  /** It is none of the stream's business. */
  | 'passes'
  /** It was taken, and goes to the client. */
  | 'flows'
  /** It works, and nothing happens. */
  | 'swallowed'
  /** It comes after an end that those below do not know of. */
  | 'too-late'
  | 'held';

/** A class, because there is one for each response. */
export class Wrapping {
  readonly stream: Stream;
  /** The methods below ours. */
  readonly methods: Methods;
  /** Something was held, and those methods are wrapped too that have to wait behind it. */
  wrappedForHold = false;

  constructor(stream: Stream) {
    this.stream = stream;
    this.methods = methodsOf(stream.exchange.res);
  }

  /** Ends or destroys the response without asking the stream. */
  close(how: 'end' | 'destroy'): void {
    const { res, socket, h2 } = this.stream.exchange;
    if (how === 'end') Reflect.apply(this.methods.end, res, []);
    else if (h2 === undefined) socket.destroy();
    else h2.close(H2_INTERNAL_ERROR);
  }

  /** Destroys the response after what is held, a turn later: Node sends what was written when the tick is over. */
  destroyLater(args: unknown[]): void {
    const { res } = this.stream.exchange;
    this.stream.hold.push(() => setImmediate(() => Reflect.apply(this.methods.destroy, res, args)));
  }

  /** Asks, while it is open, whether the response is a stream; true when it has just become one. */
  decide(call: DecidingCall, hasBody: boolean, given?: ResponseHead): boolean {
    const { stream } = this;
    if (stream.kind !== 'undecided') return false;
    const { res } = stream.exchange;
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
    handlerBegan(stream, head);
    const isLate = this.methods.flush === nothing && typeof res.flush === 'function';
    if (head.contentEncoding !== '' && isLate) {
      const order = 'compression() must stand before observe() and guard()';
      stream.environment.warnOnce('order', order);
    }
    return true;
  }

  /** A chunk is being written: it is taken, if it is the stream's. */
  fateOf(chunk: unknown, encoding: unknown): Fate {
    const { stream } = this;
    if (stream.kind === 'undecided' && this.decide('write', true)) addHeaders(stream);
    if (!stream.concerned) return 'passes';
    const { res } = stream.exchange;
    // Its head is built, as by any first write: who asks `headersSent` must not answer a second time.
    if (stream.clientGone && !res.headersSent) res.writeHead(res.statusCode);
    if (stream.discardWrites) return 'swallowed';
    if (stream.endCalled) return stream.hold.pretendsEnd ? 'too-late' : 'passes';
    if (chunk === '') return stream.clientGone ? 'swallowed' : 'passes';
    if (stream.take(chunk, encoding, false) === 'invalid') return 'passes';
    if (stream.clientGone) return 'swallowed';
    return stream.hold.active ? 'held' : 'flows';
  }

  holdWrite(args: IArguments, done: Callback | undefined): true {
    const { hold, exchange } = this.stream;
    const { res } = exchange;
    if (!res.headersSent) res.writeHead(res.statusCode);
    const kept = copied(args);
    hold.push(() => Reflect.apply(this.methods.write, res, kept), done);
    return true;
  }
}

/** The methods of a response; nearly always those of its class, and then one record for all of them. */
function methodsOf(res: Response): Methods {
  // The typings give each method its own signature; here arguments are only passed on.
  const own = res as unknown as Record<string, Method | undefined>;
  const known = lastMethods;
  if (known !== undefined && NAMES.every((name) => known[name] === (own[name] ?? nothing))) {
    return known;
  }
  const entries = NAMES.map((name) => [name, own[name] ?? nothing]);
  // Each of the names was given its method.
  const methods = Object.fromEntries(entries) as Methods;
  // What somebody has put on the response itself would keep that response alive.
  if (!NAMES.some((name) => Object.hasOwn(res, name))) lastMethods = methods;
  return methods;
}

let lastMethods: Methods | undefined;

/** What a response that lacks a method does in its place. */
function nothing(): undefined {
  return undefined;
}

/** The arguments of a call that waits: bytes are copied, because handlers reuse their buffers. */
export function copied(args: IArguments): unknown[] {
  const [chunk, ...rest] = Array.from(args);
  if (args.length === 0) return [];
  return [chunk instanceof Uint8Array ? Buffer.from(chunk) : chunk, ...rest];
}
