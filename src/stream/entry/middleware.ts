/**
 * The stream layer as middleware. Express is never imported: a middleware is a function of a request, a response and
 * `next`, and without `next` it is a handler of `node:http`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { currentStream, runInStream } from '../../core/current-stream.ts';
import { bad, refuseUncalled } from '../../core/options.ts';
import { attach, streamOf } from './attach.ts';
import type { Next, Response, RoutedRequest } from '../response/exchange.ts';
import { handlerFailed } from '../lifecycle/transitions.ts';
import type { Environment } from '../lifecycle/stream.ts';
import {
  type GuardOptions,
  guardSettings,
  type ObserveOptions,
  observeSettings,
} from '../settings.ts';

/** A middleware, or, without `next`, a handler of `node:http` or of `node:http2`'s compatibility API. */
export type Middleware = (
  req: IncomingMessage | Http2ServerRequest,
  res: ServerResponse | Http2ServerResponse,
  next?: Next,
) => unknown;

/** Express's error middleware. */
export type ErrorMiddleware = (
  error: unknown,
  req: IncomingMessage,
  res: ServerResponse,
  next: Next,
) => void;

/** The app's own handler, with its framework's types. */
export type AppHandler<Req, Res> = (req: Req, res: Res, next: Next) => unknown;

/** A middleware or handler, with what its framework, or Node, gives it. */
export type Handler = (req: RoutedRequest, res: Response, next?: Next) => unknown;

/** Counts and times every streaming response. */
export function observeMiddleware(environment: Environment, options?: ObserveOptions): Middleware {
  refuseUncalled('keep.observe', options, 'keep.observe()');
  const settings = observeSettings(options);
  return asMiddleware(function lastchunkObserve(req, res, next) {
    attach(req, res, settings, environment);
    return inStream(res, () => next?.());
  });
}

/** Guards the response of the handler that follows, or of `handler`, whose failures are then seen first. */
export function guardMiddleware<Req, Res>(
  environment: Environment,
  options?: GuardOptions<Req>,
  handler?: AppHandler<Req, Res>,
): Middleware {
  refuseUncalled('keep.guard', options, 'keep.guard({ message })');
  const settings = guardSettings(options);
  if (handler !== undefined && typeof handler !== 'function') {
    throw bad('the second argument of guard() must be a function');
  }
  if (settings.ids && environment.relay === undefined) {
    throw bad('`ids` of guard() needs the option `relay` of lastchunk()');
  }
  if (environment.keeper === undefined) environment.warnOnce('no store', NO_STORE);
  if (settings.route !== undefined) environment.observer.onRoute(settings.route);
  // It is called with what its framework, or Node, calls us with.
  const wrapped = handler as Handler | undefined;
  return asMiddleware(function lastchunkGuard(this: unknown, req, res, next) {
    if (environment.interrupting && environment.keeper !== undefined && !res.headersSent) {
      if (environment.closed) environment.warnOnce('closed', CLOSED);
      return refuse(req, res);
    }
    // Its client goes to another process with what it asks next; HTTP/2 says the same by a frame of its own.
    const isKept = environment.closing && req.httpVersionMajor < 2 && !res.headersSent;
    if (isKept) res.setHeader('Connection', 'close');
    const stream = attach(req, res, settings, environment);
    if (stream !== undefined) environment.observer.onRoute(stream.route);
    const handle = (): unknown =>
      inStream(res, () => (wrapped ? run(wrapped.bind(this), req, res, next) : next?.()));
    return stream === undefined ? handle() : environment.trace.handle(stream, handle);
  });
}

const NO_STORE =
  'guard() saves nothing without a store: lastchunk({ store: postgres({ connectionString }) }), or use observe()';
const CLOSED =
  'a request came to a guard after keep.close(), and is answered with 503: a closed instance stays closed, make a new one with lastchunk()';

/** The instance closes: an answer that would begin now might not be kept, so its client is sent to another process. */
function refuse(req: RoutedRequest, res: Response): void {
  res.statusCode = 503;
  res.setHeader('Content-Type', 'application/json');
  res.setHeader('Retry-After', '1');
  // HTTP/2 has no such header, and says the same by a frame of its own.
  if (req.httpVersionMajor < 2) res.setHeader('Connection', 'close');
  res.end(JSON.stringify({ error: 'shutting down' }));
}

/** Runs what follows so that errors which it logs are known to be of this stream, if anybody wants to know. */
function inStream<T>(res: Response, work: () => T): T {
  const current = currentStream(res);
  return current === undefined ? work() : runInStream(current, work);
}

/** Runs a handler, and tells its stream of a throw, a rejection or a `next(error)` before anybody else. */
function run(handler: Handler, req: RoutedRequest, res: Response, next: Next | undefined): unknown {
  const fail = (error: unknown): void => tellFailure(res, error);
  const told =
    next &&
    ((error?: unknown): void => {
      // These two values are instructions to the router, not errors.
      const failed = Boolean(error) && error !== 'route' && error !== 'router';
      if (failed) passOn(res, error, next);
      else if (error === undefined) next();
      else next(error);
    });
  let result: unknown;
  try {
    result = handler(req, res, told);
  } catch (error) {
    fail(error);
    throw error;
  }
  if (!(result instanceof Promise)) return result;
  return result.catch((error: unknown) => {
    if (next === undefined) {
      fail(error);
      throw error;
    }
    // Express 4 does not look at promises; Express 5 makes an error of a rejection without one.
    passOn(res, error || new Error('Rejected promise'), next);
  });
}

/**
 * Tells the stream that its handler failed, then lets the app's own error handling go on. Not for what `swallow` takes
 * care of when the response has begun: somebody left, and there is nobody to answer.
 */
export function errorMiddleware(
  swallow: (error: unknown, res: object) => boolean,
): ErrorMiddleware {
  return (error, _req, res, next) => {
    tellFailure(res, error);
    if (res.headersSent && swallow(error, res)) return;
    passOn(res, error, next);
  };
}

/** The compatibility API of HTTP/2 has types of its own for what is used here in the same way. */
export function asMiddleware(handler: Handler): Middleware {
  return handler as Middleware;
}

/** Reports the failure of a handler to its stream, and then calls the next error handler. */
function passOn(res: object, error: unknown, next: Next): void {
  tellFailure(res, error);
  next(error);
}

function tellFailure(res: object, error: unknown): void {
  const stream = streamOf(res);
  if (stream !== undefined) handlerFailed(stream, error);
}
