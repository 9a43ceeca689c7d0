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

/** A middleware or handler, with the arguments that its framework, or Node, passes. */
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

/** Guards the response of the handlers that follow, or of `handler`, whose failures then reach the stream before any error handler. */
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
  // It is called with the same arguments as the middleware itself.
  const wrapped = handler as Handler | undefined;
  return asMiddleware(function lastchunkGuard(this: unknown, req, res, next) {
    if (environment.interrupting && environment.keeper !== undefined && !res.headersSent) {
      if (environment.closed) environment.warnOnce('closed', CLOSED);
      return refuse(req, res);
    }
    // So the client sends its next request to another process; HTTP/2 has a frame for that.
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

/** The instance is closing: an answer that begins now might not be kept, so the client is asked to retry, on another process. */
function refuse(req: RoutedRequest, res: Response): void {
  res.statusCode = 503;
  res.setHeader('Content-Type', 'application/json');
  res.setHeader('Retry-After', '1');
  // HTTP/2 has no such header, but a frame for that.
  if (req.httpVersionMajor < 2) res.setHeader('Connection', 'close');
  res.end(JSON.stringify({ error: 'shutting down' }));
}

/** Runs `work` in the async context of the stream, by which errors that it logs are assigned to the stream. */
function inStream<T>(res: Response, work: () => T): T {
  const current = currentStream(res);
  return current === undefined ? work() : runInStream(current, work);
}

/** Runs a handler, and reports a throw, a rejection or a `next(error)` to its stream before any error handler runs. */
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
 * Reports the failure of the handler to the stream, then calls the app's next error handler. It does not call that for an error that
 * `swallow` accepts as noise after the response has begun: the client or the upstream left, and there is no answer to give.
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

/** Casts a handler: the compatibility API of HTTP/2 has its own types, which are used here in the same way. */
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
