/** Returns the stream of a response, and creates it on the first call. */
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { streamPlaces } from '../../core/current-stream.ts';
import type { FinishRefusal } from '../../core/observer.ts';
import { sharedState } from '../../core/shared-state.ts';
import {
  type ConnectionListener,
  leaveConnection,
  listenToConnection,
} from '../response/connection-events.ts';
import { exchangeOf, type Response, type RoutedRequest } from '../response/exchange.ts';
import { newId } from '../body/identity.ts';
import { step } from '../lifecycle/effects.ts';
import { clientStalled, timeOut } from '../lifecycle/ending.ts';
import type { StreamHooks } from '../lifecycle/environment.ts';
import { connectionClosed, sweepConnections } from '../lifecycle/transitions.ts';
import type { StreamSettings } from '../settings.ts';
import { CancellationContext } from '../lifecycle/noise-facts.ts';
import { type Environment, Stream } from '../lifecycle/stream.ts';
import { InterceptedResponse } from './intercept.ts';

/** Streams by response. Two copies of this version in a process must not wrap one response twice. */
const streams = sharedState('streams', () => new WeakMap<object, Stream>());

/** The stream of a response, found by a map: the response itself has no property for it. */
export function streamOf(res: object): Stream | undefined {
  return streams.get(res);
}

/** A route of ours answers this response: no stream is counted, and nothing of it is kept. */
export function markNoStream(res: object): void {
  const stream = streamOf(res);
  if (stream !== undefined) step(stream, 'no-stream');
}

/**
 * The stream of this response under these settings. A guard takes over from `observe()` as long as nothing was
 * written; of two guards the first wins. Never throws: `undefined` where the response cannot be guarded.
 */
export function attach(
  req: RoutedRequest,
  res: Response,
  settings: StreamSettings,
  environment: Environment,
): Stream | undefined {
  try {
    return attached(req, res, settings, environment);
  } catch (error) {
    // This object is not a response of Node: the app continues without a stream.
    const half = streamOf(res);
    if (half !== undefined) environment.live.delete(half.id);
    streams.delete(res);
    streamPlaces().delete(res);
    environment.onInternalError('stream', error);
    environment.warnOnce('attach', 'a response could not be guarded, and goes on unguarded');
    return undefined;
  }
}

function attached(
  req: RoutedRequest,
  res: Response,
  settings: StreamSettings,
  environment: Environment,
): Stream {
  const present = streamOf(res);
  if (present === undefined && settings.guarded && res.headersSent) tellLate(settings, environment);
  if (present !== undefined && !mayReplace(present, settings, environment)) return present;
  if (present !== undefined) step(present, 'no-stream');
  present?.hooks.restoreMethods();
  const stream = new Stream(present?.id ?? newId(), exchangeOf(req, res), settings, environment);
  streams.set(res, stream);
  streamPlaces().set(res, new CancellationContext(stream));
  stream.hooks = new Attachment(stream);
  // A response that was already answered is left alone.
  if (res.writableEnded) {
    step(stream, 'no-stream');
    return stream;
  }
  if (stream.guarded) environment.live.set(stream.id, stream);
  sweepConnections(environment);
  // The client may have left while an asynchronous middleware before us ran; then no event follows.
  if (stream.exchange.socket.destroyed) connectionClosed(stream);
  return stream;
}

function mayReplace(present: Stream, settings: StreamSettings, environment: Environment): boolean {
  if (!settings.guarded || environment.keeper === undefined) return false;
  if (present.guarded) {
    environment.warnOnce('second guard', 'a response has two guards; the first one counts');
    return false;
  }
  if (present.phase.kind === 'undecided') return true;
  // Its connection was closed before anything was written, and nothing follows.
  if (present.phase.isOver) return false;
  tellLate(settings, environment);
  return false;
}

function tellLate({ route }: StreamSettings, environment: Environment): void {
  const where = route === undefined ? '' : ` on ${route}`;
  environment.warnOnce(
    'late guard',
    `a guard${where} came after its response had begun, and does nothing: put keep.guard() in front of the handler`,
  );
}

/** What ties one stream to its response: our listeners and our methods. */
class Attachment implements StreamHooks, ConnectionListener {
  readonly #stream: Stream;
  readonly #response: InterceptedResponse;
  /** Listens to the request, the response and the connection; one function for all three, to save memory per live stream. */
  readonly #onClose: (this: unknown) => void;
  /** The methods before and after they were wrapped; undefined under a guard, which never restores them. */
  readonly #methods: { readonly before: Methods; readonly wrapped: Methods } | undefined;

  constructor(stream: Stream) {
    const { res } = stream.exchange;
    const before = stream.guarded ? undefined : ownMethods(res);
    this.#stream = stream;
    this.#response = new InterceptedResponse(stream);
    this.#methods = before && { before, wrapped: ownMethods(res) };
    this.#onClose = function () {
      stream.finishing?.noteClose(this);
      if (this !== stream.exchange.req) connectionClosed(stream);
    };
    this.#listen();
  }

  idle(): void {
    timeOut(this.#stream);
  }

  released(): void {
    step(this.#stream, 'released');
  }

  finishedInGrace(): void {
    step(this.#stream, 'marker');
  }

  stalled(): void {
    clientStalled(this.#stream);
  }

  budgetSpent(why: FinishRefusal): void {
    step(this.#stream, 'patience-over', { reason: why });
  }

  closeResponse(how: 'end' | 'destroy'): void {
    this.#response.close(how);
  }

  hearsClose(): boolean {
    const { socket, h2 } = this.#stream.exchange;
    return (h2 ?? socket).listeners('close').includes(this.#onClose);
  }

  removeListeners(): void {
    const { socket, h2 } = this.#stream.exchange;
    if (h2 === undefined) leaveConnection(socket, this);
  }

  onConnectionClose(socket: Socket): void {
    this.#onClose.call(socket);
  }

  onConnectionTimeout(): void {
    this.#stream.timings.socketTimedOut();
  }

  restoreMethods(): void {
    if (this.#methods === undefined) return;
    restoreMethods(this.#stream.exchange.res, this.#methods.before, this.#methods.wrapped);
  }

  /** Our listeners come first: the close verdict reads state that Node's own listeners change. */
  #listen(): void {
    const { finishing, exchange } = this.#stream;
    const { req, res, socket, h2 } = exchange;
    finishing?.exemptPresent(this.#onClose);
    // The plain method, not one that tracing may have wrapped to bind its context: deferred listeners look for this very function.
    const { prototype } = EventEmitter;
    prototype.prependListener.call(res, 'close', this.#onClose);
    if (finishing !== undefined) prototype.prependListener.call(req, 'close', this.#onClose);
    if (h2 === undefined) {
      listenToConnection(socket, this);
    } else {
      h2.prependListener('close', this.#onClose);
      h2.prependListener('aborted', this.#onClose);
    }
  }
}

/** The methods that `observe()` wraps, and restores for a guard. */
const WRAPPED = ['write', 'end', 'writeHead', 'destroy', 'flushHeaders'];

type Methods = readonly (PropertyDescriptor | undefined)[];

/** The methods that are own properties of the response. */
function ownMethods(res: Response): Methods {
  return WRAPPED.map((name) => Object.getOwnPropertyDescriptor(res, name));
}

/** Removes our methods, except those that other code has wrapped since. */
function restoreMethods(res: Response, before: Methods, wrapped: Methods): void {
  for (const [i, name] of WRAPPED.entries()) {
    const now = Object.getOwnPropertyDescriptor(res, name);
    if (now === undefined || now.value !== wrapped[i]?.value) continue;
    const old = before[i];
    if (old === undefined) Reflect.deleteProperty(res, name);
    else Object.defineProperty(res, name, old);
  }
}
