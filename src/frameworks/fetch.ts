/**
 * The guard for handlers that return a `Response` (Hono, route handlers of Next, any use of the Fetch API). The stream core handles
 * responses of `node:http` only. So the body of the handler's `Response` is written to a `ServerResponse`, whose socket is the source of
 * the body of the `Response` that is returned.
 */
import { once } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import type { Lastchunk } from '../lastchunk.ts';
import type { StreamHandle } from '../stream/lifecycle/stream-handle.ts';
import type { GuardOptions, MessageIdentity } from '../stream/settings.ts';
import { createBodySocket } from './body-socket.ts';
import type { NodeHandler } from './node-handler.ts';

/** Options of `fetchGuard()`: those of `guard()`, with the request of the Fetch API. */
export interface FetchGuardOptions extends Omit<
  GuardOptions<IncomingMessage>,
  'message' | 'stream'
> {
  /**
   * Names the message, synchronously; called again at the end of the stream if it named no conversation. The message is kept even if it
   * throws.
   */
  readonly message?: (request: Request) => MessageIdentity | undefined;
  /** `true`: every response with a body is a stream. Default: by status and media type. */
  readonly stream?: true;
}

/** A handler as the guard calls it. `stream.signal` aborts when the answer is no longer wanted. */
export type FetchHandler = (request: Request, stream: StreamHandle) => Response | Promise<Response>;

/** Runs a handler and guards the body of its response. What the handler throws or rejects with is passed on. */
export type FetchGuard = (request: Request, handler: FetchHandler) => Promise<Response>;

/**
 * Makes a guard for one route; `route` should be given, since a `Request` does not contain its pattern. Make the guard once and call it for
 * each request: `(c) => guard(c.req.raw, () => answer(c))`. Throws `bad-option` as `guard()` does.
 */
export function fetchGuard(keep: Lastchunk, options: FetchGuardOptions = {}): FetchGuard {
  const { message, ...rest } = options;
  const calls = new WeakMap<IncomingMessage, Call>();
  const run = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const call = calls.get(req);
    if (call !== undefined) await answer(keep, call, res);
  };
  const guarded = keep.guard<IncomingMessage>(
    {
      ...rest,
      ...(message !== undefined && {
        message: (req) => {
          const call = calls.get(req);
          return call === undefined ? undefined : message(call.request);
        },
      }),
    },
    run,
  );
  return (request, handler) =>
    new Promise((resolve, reject) => {
      const { socket, body, leave } = createBodySocket();
      const req = incoming(request, socket);
      const res = outgoing(req, socket);
      calls.set(req, { request, handler, body, respond: resolve });
      // When a client leaves, some servers abort this signal, some cancel the body, most do both.
      request.signal.addEventListener('abort', leave, { once: true });
      res.once('close', () => request.signal.removeEventListener('abort', leave));
      Promise.resolve(guarded(req, res)).catch((error: unknown) => {
        reject(
          error instanceof Error
            ? error
            : new Error('the handler threw no error', { cause: error }),
        );
        // Where no response was returned yet, this only ends an unused one.
        res.destroy(error instanceof Error ? error : undefined);
      });
    });
}

const requestOf = new WeakMap<IncomingMessage, Request>();

/**
 * Adapts a handler of lastchunk to the Fetch API: `keep.healthHandler()`, `metrics.handler()`, `keep.stopHandler()`,
 * `keep.resumeHandler()`, `keep.statusHandler()`. A route's id is the last segment of the path.
 */
export function fetchHandler(handler: NodeHandler): (request: Request) => Promise<Response> {
  return (request) =>
    new Promise((resolve, reject) => {
      const { socket, body, leave } = createBodySocket();
      const req = incoming(request, socket);
      const res = outgoing(req, socket);
      requestOf.set(req, request);
      request.signal.addEventListener('abort', leave, { once: true });
      res.once('close', () => {
        request.signal.removeEventListener('abort', leave);
        // No effect if there was an answer.
        reject(new Error('the response was closed before it had begun'));
      });
      const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => ServerResponse;
      // Node calls `writeHead` for every answer, even if the handler does not.
      res.writeHead = (...args: unknown[]) => {
        const result = writeHead(...args);
        const hasBody = request.method !== 'HEAD' && !WITHOUT_BODY.has(res.statusCode);
        resolve(
          new Response(hasBody ? body : null, { status: res.statusCode, headers: headersOf(res) }),
        );
        return result;
      };
      Promise.resolve(handler(req, res)).catch(reject);
    });
}

/** The `Request` for a request that `fetchHandler` has passed on: for `authorize`, which is called with Node's request. */
export function fetchRequestOf(req: IncomingMessage): Request | undefined {
  return requestOf.get(req);
}

/** Statuses whose `Response` must have no body. */
const WITHOUT_BODY: ReadonlySet<number> = new Set([101, 204, 205, 304]);

function headersOf(res: ServerResponse): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(res.getHeaders())) {
    for (const one of [value ?? []].flat()) headers.append(name, String(one));
  }
  return headers;
}

/** One request while it is answered. */
interface Call {
  readonly request: Request;
  readonly handler: FetchHandler;
  /** The body that the client receives. */
  readonly body: ReadableStream<Uint8Array>;
  readonly respond: (response: Response) => void;
}

async function answer(keep: Lastchunk, call: Call, res: ServerResponse): Promise<void> {
  const stream = keep.stream(res);
  if (stream === undefined) throw new Error('the guard has no stream for this response');
  const response = await call.handler(call.request, stream);
  res.statusCode = response.status;
  setHeaders(res, response);
  if (response.body === null || call.request.method === 'HEAD') {
    res.end();
    call.respond(response);
    return;
  }
  res.flushHeaders();
  call.respond(new Response(call.body, { ...shared(response), headers: withOurs(response, res) }));
  await write(response.body, res);
}

/** Writes a body with the backpressure of the client, and stops when the response is closed. */
async function write(body: ReadableStream<Uint8Array>, res: ServerResponse): Promise<void> {
  const reader = body.getReader();
  const left = new AbortController();
  res.once('close', () => {
    left.abort();
    // A rejection of `cancel` has the same error as the `read` below.
    reader.cancel().catch(() => undefined);
  });
  for (;;) {
    const { done, value } = await reader.read();
    if (done || left.signal.aborted) break;
    if (!res.write(value)) await drained(res, left.signal);
  }
  res.end();
}

async function drained(res: ServerResponse, left: AbortSignal): Promise<void> {
  try {
    await once(res, 'drain', { signal: left });
  } catch (error) {
    if (!left.aborted) throw error;
  }
}

function incoming(request: Request, socket: IncomingMessage['socket']): IncomingMessage {
  const req = new IncomingMessage(socket);
  const { pathname, search } = new URL(request.url);
  req.method = request.method;
  req.url = pathname + search;
  for (const [name, value] of request.headers) req.headers[name] = value;
  req.httpVersionMajor = 1;
  req.httpVersionMinor = 1;
  req.httpVersion = '1.1';
  // Its body is read through the `Request`.
  req.push(null);
  return req;
}

/** A response whose body is written to the socket unchanged: without chunked coding, and with only the head before it. */
function outgoing(req: IncomingMessage, socket: IncomingMessage['socket']): ServerResponse {
  const res = new ServerResponse(req);
  res.useChunkedEncodingByDefault = false;
  res.shouldKeepAlive = false;
  res.sendDate = false;
  res.assignSocket(socket);
  // Like Node's server after the last response of a connection.
  res.once('finish', () => socket.end(() => socket.destroy()));
  return res;
}

/** Headers of the connection, which are not copied to this response. */
const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'transfer-encoding']);

function setHeaders(res: ServerResponse, { headers }: Response): void {
  for (const [name, value] of headers) {
    if (!HOP_BY_HOP.has(name) && name !== 'set-cookie') res.setHeader(name, value);
  }
  const cookies = headers.getSetCookie();
  if (cookies.length > 0) res.setHeader('set-cookie', cookies);
}

function shared({ status, statusText }: Response): { status: number; statusText: string } {
  return { status, statusText };
}

/** The response's own headers, and those that the guard added. */
function withOurs(response: Response, res: ServerResponse): Headers {
  const headers = new Headers(response.headers);
  for (const name of ['x-stream-id', 'x-message-id']) {
    const value = res.getHeader(name);
    if (typeof value === 'string') headers.set(name, value);
  }
  return headers;
}
