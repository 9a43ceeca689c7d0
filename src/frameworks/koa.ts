/**
 * The guard as middleware of Koa. Koa writes the response after the last middleware has returned, to the plain response
 * of Node, which the guard wraps. Koa differs in two points: an error of a body that it pipes bypasses every middleware and reaches only
 * `ctx.onerror`, and it destroys that body when the connection closes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { Lastchunk } from '../lastchunk.ts';
import type { Middleware } from '../stream/entry/middleware.ts';
import type { StreamHandle } from '../stream/lifecycle/stream-handle.ts';
import type { NodeHandler } from './node-handler.ts';
import type { GuardOptions, MessageIdentity, ObserveOptions } from '../stream/settings.ts';

/** The members of every Koa context that come from Node. */
export interface KoaExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** False: Koa sends no response, because other code does. */
  respond?: boolean | undefined;
}

/** The part of Koa's context that is used, with or without a router. */
export interface KoaContext extends KoaExchange {
  /** The body that Koa will send. */
  readonly body?: unknown;
  /** Koa's own error handler, called by Koa for this context. */
  onerror: (error: Error | null) => void;
  /** The pattern, where @koa/router has matched one. */
  readonly _matchedRoute?: string | RegExp;
}

/** The type of a Koa middleware. */
export type KoaMiddleware<Context extends KoaContext> = (
  ctx: Context,
  next: () => Promise<unknown>,
) => Promise<void>;

/** Options of `koaGuard()`: those of `guard()`, with Koa's context in place of the request. */
export interface KoaGuardOptions<Context extends KoaContext = KoaContext> extends Omit<
  GuardOptions<IncomingMessage>,
  'message'
> {
  /**
   * Names the message, synchronously; called again at the end of the stream if it named no conversation. The message is kept even if it
   * throws.
   */
  readonly message?: (ctx: Context) => MessageIdentity | undefined;
}

/** Guards the answers of the middleware after it. Put it on the route. Throws `bad-option` as `guard()` does. */
export function koaGuard<Context extends KoaContext = KoaContext>(
  keep: Lastchunk,
  options: KoaGuardOptions<Context> = {},
): KoaMiddleware<Context> {
  const { message, ...rest } = options;
  const contexts = new WeakMap<IncomingMessage, Context>();
  const nameIt = (req: IncomingMessage): MessageIdentity | undefined => {
    const ctx = contexts.get(req);
    return ctx === undefined ? undefined : message?.(ctx);
  };
  const guards = perRoute(rest.route, (route) =>
    keep.guard<IncomingMessage>({
      ...rest,
      ...(route !== undefined && { route }),
      ...(message !== undefined && { message: nameIt }),
    }),
  );
  return (ctx, next) => {
    contexts.set(ctx.req, ctx);
    return through(keep, guards(ctx), ctx, next);
  };
}

const contextOf = new WeakMap<IncomingMessage, KoaExchange>();

/**
 * Adapts a handler of lastchunk to a route of Koa: `keep.healthHandler()`, `metrics.handler()`, `keep.stopHandler()`,
 * `keep.resumeHandler()`, `keep.statusHandler()`. The handler answers by itself, with the headers that were set before. The middleware
 * resolves when the response is closed.
 */
export function koaHandler(handler: NodeHandler): (ctx: KoaExchange) => Promise<void> {
  return (ctx) => {
    contextOf.set(ctx.req, ctx);
    // Koa starts with the status 404, which nothing replaces when Koa does not respond itself.
    ctx.respond = false;
    ctx.res.statusCode = 200;
    return new Promise((resolve, reject) => {
      ctx.res.once('close', resolve);
      Promise.resolve(handler(ctx.req, ctx.res)).catch(reject);
    });
  };
}

/** The context of a request that `koaHandler` has passed on: for `authorize`, which is called with Node's request. */
export function koaContextOf(req: IncomingMessage): KoaExchange | undefined {
  return contextOf.get(req);
}

/** Counts and times every streaming response. Saves nothing. */
export function koaObserve<Context extends KoaContext = KoaContext>(
  keep: Lastchunk,
  options: ObserveOptions = {},
): KoaMiddleware<Context> {
  const observers = perRoute(options.route, (route) =>
    keep.observe({ ...options, ...(route !== undefined && { route }) }),
  );
  return (ctx, next) => through(keep, observers(ctx), ctx, next);
}

/** One middleware for each route pattern, created when the pattern is first matched. */
function perRoute(
  given: string | undefined,
  make: (route: string | undefined) => Middleware,
): (ctx: KoaContext) => Middleware {
  // Checks the options now instead of at the first request.
  const first = make(given);
  const made = new Map<string, Middleware>();
  return ({ _matchedRoute: matched }) => {
    if (given !== undefined || matched === undefined) return first;
    const route = String(matched);
    let middleware = made.get(route);
    if (middleware === undefined) made.set(route, (middleware = make(route)));
    return middleware;
  };
}

async function through(
  keep: Lastchunk,
  middleware: Middleware,
  ctx: KoaContext,
  next: () => Promise<unknown>,
): Promise<void> {
  hearOfErrors(keep, ctx);
  let following: Promise<unknown> | undefined;
  middleware(ctx.req, ctx.res, () => {
    following = next();
  });
  await following;
  const stream = keep.stream(ctx.res);
  if (stream !== undefined && ctx.body instanceof Readable) shield(ctx.body, ctx.req, stream);
}

/** Wraps `ctx.onerror`, which Koa calls for every error, also when the client closes the connection. */
function hearOfErrors(keep: Lastchunk, ctx: KoaContext): void {
  const tellFailure = keep.errorHandler();
  const { onerror } = ctx;
  ctx.onerror = (error) => {
    // A broken connection is not a failure of the handler: the guard reads it from the socket.
    if (error === null || error === undefined || error === ctx.req.socket.errored) {
      return onerror.call(ctx, error);
    }
    tellFailure(error, ctx.req, ctx.res, () => onerror.call(ctx, error));
  };
}

/**
 * Koa destroys the stream that it pipes when the connection closes. While the guard wants the rest of the answer, this call is ignored;
 * the stream is destroyed when the guard's signal aborts.
 */
function shield(body: Readable, { socket }: IncomingMessage, { signal }: StreamHandle): void {
  const destroy = body.destroy.bind(body);
  let asked = false;
  body.destroy = (error) => {
    const gone = socket.destroyed || socket.errored !== null;
    if (error !== undefined || !gone || signal.aborted) return destroy(error);
    asked = true;
    return body;
  };
  signal.addEventListener('abort', () => {
    if (asked) destroy();
  });
}
