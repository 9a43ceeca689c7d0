/**
 * The guard as a plugin of Fastify. Registered with `{ keep }` it observes every route, and guards the routes that have
 * `config: { lastchunk: { message } }`. Fastify writes to the plain response of Node, even a stream that a handler returns, so the plugin
 * only has to run before the handler and to receive its errors.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { Lastchunk } from '../lastchunk.ts';
import { bad, optionGroup } from '../core/options.ts';
import type { GuardOptions, MessageIdentity } from '../stream/settings.ts';
import type { NodeHandler } from './node-handler.ts';
import { isObject } from '../core/values.ts';

/** The part of Fastify's request that is used. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage;
}

/** The part of Fastify's reply that is used. */
export interface FastifyReplyLike {
  readonly raw: ServerResponse;
  /** Tells Fastify to send no response, because the handler writes to `raw`. */
  hijack?(): unknown;
  /** Headers that plugins, such as CORS, have set so far. */
  getHeaders?(): Readonly<Record<string, number | string | readonly string[] | undefined>>;
}

/** The part of a route that is used while it is registered. */
export interface FastifyRouteLike {
  readonly url: string;
  readonly config?: unknown;
  handler: FastifyHandler;
  onRequest?: unknown;
}

/** The part of Fastify's instance that is used. */
export interface FastifyLike {
  addHook(name: string, hook: (...args: never[]) => unknown): unknown;
}

/** A handler as Fastify calls it. */
export type FastifyHandler = (
  this: unknown,
  request: FastifyRequestLike,
  reply: FastifyReplyLike,
) => unknown;

/** Options of a guarded route, in its `config.lastchunk`: those of `guard()`, with Fastify's request. */
export interface FastifyGuardOptions<
  Request extends FastifyRequestLike = FastifyRequestLike,
> extends Omit<GuardOptions<IncomingMessage>, 'message'> {
  /**
   * Names the message, synchronously; called again at the end of the stream if it named no conversation. The message is kept even if it
   * throws.
   */
  readonly message?: (request: Request) => MessageIdentity | undefined;
}

/** Options of the plugin. */
export interface FastifyPluginOptions {
  /** The result of `lastchunk()`. Fastify does not close it: call `keep.close()` in your own shutdown. */
  readonly keep: Lastchunk;
}

/**
 * The plugin, for the instance it is registered on and all below it; register it before the routes. Without `keep`, `register()` rejects; a
 * route with wrong options throws when it is registered; both with `bad-option`.
 */
export function fastifyLastchunk(
  instance: FastifyLike,
  options: FastifyPluginOptions,
  done: (error?: Error) => void,
): void {
  const { keep } = options;
  // Called from JavaScript too. An error that a plugin throws ends the process; an error passed to `done` rejects `register()`.
  if (typeof (keep as Partial<Lastchunk> | undefined)?.guard !== 'function') {
    return done(bad('the plugin needs `keep`, which is what lastchunk() returned'));
  }
  const tell = (error: unknown, { raw }: FastifyReplyLike, request: IncomingMessage): void =>
    keep.errorHandler()(error, request, raw, () => {
      // Fastify continues by itself.
    });
  const guarded = new WeakSet<FastifyHandler>();
  instance.addHook('onRoute', (route: FastifyRouteLike) => {
    const observe = keep.observe({ route: route.url });
    const hook = ({ raw }: FastifyRequestLike, reply: FastifyReplyLike, next: () => void): void => {
      observe(raw, reply.raw);
      next();
    };
    route.onRequest = [hook, ...[route.onRequest ?? []].flat()];
    const wanted = optionsOf(route);
    // Fastify registers a GET route a second time, for HEAD, with the handler that was wrapped the first time.
    if (wanted === undefined || guarded.has(route.handler)) return;
    route.handler = guardHandler(keep, { route: route.url, ...wanted }, route.handler);
    guarded.add(route.handler);
  });
  instance.addHook(
    'onError',
    (request: FastifyRequestLike, reply: FastifyReplyLike, error: unknown, next: () => void) => {
      tell(error, reply, request.raw);
      next();
    },
  );
  instance.addHook(
    'onSend',
    (request: FastifyRequestLike, reply: FastifyReplyLike, payload: unknown, next: OnSendDone) => {
      // Fastify destroys the response of a stream that failed, and does not report the error.
      if (payload instanceof Readable) {
        payload.prependListener('error', (error) => tell(error, reply, request.raw));
      }
      next(null, payload);
    },
  );
  done();
}

/** Tells Fastify that the hooks of this plugin apply to the instance that registers it, not only to a child instance. */
Object.defineProperty(fastifyLastchunk, Symbol.for('skip-override'), { value: true });

type OnSendDone = (error: null, payload: unknown) => void;

function optionsOf({ config }: FastifyRouteLike): FastifyGuardOptions | undefined {
  if (!isObject(config) || !('lastchunk' in config)) return undefined;
  // Checked by `guard()`, key by key.
  return optionGroup('config.lastchunk', config.lastchunk) as FastifyGuardOptions;
}

function guardHandler(
  keep: Lastchunk,
  { message, ...options }: FastifyGuardOptions,
  handler: FastifyHandler,
): FastifyHandler {
  const calls = new WeakMap<IncomingMessage, () => unknown>();
  const requests = new WeakMap<IncomingMessage, FastifyRequestLike>();
  const nameIt = (raw: IncomingMessage): MessageIdentity | undefined => {
    const request = requests.get(raw);
    return request === undefined ? undefined : message?.(request);
  };
  const guard = keep.guard<IncomingMessage>(
    { ...options, ...(message !== undefined && { message: nameIt }) },
    (raw) => calls.get(raw)?.(),
  );
  return function (request, reply) {
    requests.set(request.raw, request);
    calls.set(request.raw, () => handler.call(this, request, reply));
    return guard(request.raw, reply.raw);
  };
}

const requestOf = new WeakMap<IncomingMessage, FastifyRequestLike>();

/**
 * Adapts a handler of lastchunk to a route of Fastify: `keep.healthHandler()`, `metrics.handler()`, `keep.stopHandler()`,
 * `keep.resumeHandler()`, `keep.statusHandler()`. The handler answers by itself, with the headers that plugins have set before.
 */
export function fastifyHandler(handler: NodeHandler): FastifyHandler {
  return (request, reply) => {
    requestOf.set(request.raw, request);
    for (const [name, value] of Object.entries(reply.getHeaders?.() ?? {})) {
      if (value !== undefined) reply.raw.setHeader(name, value);
    }
    reply.hijack?.();
    // Fastify reports what the handler throws or rejects with.
    return handler(request.raw, reply.raw);
  };
}

/** Fastify's request for a request that `fastifyHandler` has passed on: for `authorize`, which is called with Node's request. */
export function fastifyRequestOf(req: IncomingMessage): FastifyRequestLike | undefined {
  return requestOf.get(req);
}
