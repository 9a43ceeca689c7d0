/**
 * The guard as a plugin of Fastify. Registered with `{ keep }` it observes every route, and guards those that have
 * `config: { lastchunk: { message } }`. Fastify writes to the plain response of Node, also what a handler returns as a stream, so the
 * plugin only has to run before the handler and to get its errors.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import type { Lastchunk } from '../lastchunk.ts';
import { bad, optionGroup } from '../core/options.ts';
import type { GuardOptions, MessageIdentity } from '../stream/settings.ts';
import type { NodeHandler } from './node-handler.ts';
import { isObject } from '../core/values.ts';

/** What is used of Fastify's request. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage;
}

/** What is used of Fastify's reply. */
export interface FastifyReplyLike {
  readonly raw: ServerResponse;
  /** Tells Fastify to send no response, because the handler writes to `raw`. */
  hijack?(): unknown;
  /** Those that plugins have set so far, such as CORS. */
  getHeaders?(): Readonly<Record<string, number | string | readonly string[] | undefined>>;
}

/** What is used of a route while it is being registered. */
export interface FastifyRouteLike {
  readonly url: string;
  readonly config?: unknown;
  handler: FastifyHandler;
  onRequest?: unknown;
}

/** What is used of Fastify's instance. */
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
  /** Names the message, synchronously; asked again at its end if it named no conversation. Whatever it does, it is kept. */
  readonly message?: (request: Request) => MessageIdentity | undefined;
}

/** Options of the plugin. */
export interface FastifyPluginOptions {
  /** What `lastchunk()` returned. It is not closed with Fastify: call `keep.close()` in your own shutdown. */
  readonly keep: Lastchunk;
}

/**
 * The plugin, for the instance it is registered on and all below it; register it before the routes. Without `keep`
 * `register()` rejects, and a route whose options are wrong throws when it is made, both with `bad-option`.
 */
export function fastifyLastchunk(
  instance: FastifyLike,
  options: FastifyPluginOptions,
  done: (error?: Error) => void,
): void {
  const { keep } = options;
  // Called from JavaScript too. What a plugin throws ends the process; what it gives `done` rejects `register()`.
  if (typeof (keep as Partial<Lastchunk> | undefined)?.guard !== 'function') {
    return done(bad('the plugin needs `keep`, which is what lastchunk() returned'));
  }
  const tell = (error: unknown, { raw }: FastifyReplyLike, request: IncomingMessage): void =>
    keep.errorHandler()(error, request, raw, () => {
      // Fastify goes on by itself.
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

/** Fastify's mark of a plugin whose hooks are for the instance that registers it, and not for a child of its own. */
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
 * Puts a handler of lastchunk's on a route of Fastify's: `keep.healthHandler()`, `metrics.handler()`, `keep.stopHandler()`,
 * `keep.resumeHandler()`, `keep.statusHandler()`. It answers by itself, with the headers that plugins have set before.
 */
export function fastifyHandler(handler: NodeHandler): FastifyHandler {
  return (request, reply) => {
    requestOf.set(request.raw, request);
    for (const [name, value] of Object.entries(reply.getHeaders?.() ?? {})) {
      if (value !== undefined) reply.raw.setHeader(name, value);
    }
    reply.hijack?.();
    // What it throws or rejects with is told by Fastify.
    return handler(request.raw, reply.raw);
  };
}

/** Fastify's request, of one that `fastifyHandler` has passed on: for `authorize`, which is called with Node's. */
export function fastifyRequestOf(req: IncomingMessage): FastifyRequestLike | undefined {
  return requestOf.get(req);
}
