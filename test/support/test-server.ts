/** Servers for tests: plain, TLS and HTTP/2, each on a free port, closed at the end of its test. */
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createSecureServer, createServer as createH2cServer } from 'node:http2';
import type {
  Http2SecureServer,
  Http2Server,
  Http2ServerRequest,
  Http2ServerResponse,
} from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, ListenOptions, Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { selfSigned } from './self-signed.ts';

/** How clients reach a test server. */
export type Transport = 'http' | 'https';

/** Options of a server, and of `listen`. */
export interface ServeOptions extends ServerOptions {
  readonly signal?: AbortSignal;
  readonly maxVersion?: 'TLSv1.2';
}

/** A listening server. */
export interface TestServer {
  readonly port: number;
  readonly transport: Transport;
  readonly server: Server;
  readonly url: string;
  /** Every connection so far, as the server sees it. */
  readonly sockets: readonly Socket[];
  /** How many of them have closed. */
  readonly closedSockets: number;
  /** Empties `sockets`, because a socket references its last response. */
  forgetSockets(): void;
}

/** Serves `listener` (a function or an Express app) until the end of the test. */
export async function serve(
  listener: RequestListener,
  transport: Transport = 'http',
  { signal, ...options }: ServeOptions = {},
): Promise<TestServer> {
  const server =
    transport === 'http'
      ? createServer(options, listener)
      : createTlsServer({ ...selfSigned(), ...options }, listener);
  const sockets: Socket[] = [];
  let closedSockets = 0;
  server.on(transport === 'http' ? 'connection' : 'secureConnection', (socket: Socket) => {
    sockets.push(socket);
    socket.on('close', () => {
      closedSockets += 1;
    });
  });
  const port = await listen(server, signal);
  onTestFinished(async () => {
    server.closeAllConnections();
    await closed(server);
  });
  return {
    port,
    transport,
    server,
    url: `${transport}://localhost:${port}`,
    sockets,
    get closedSockets() {
      return closedSockets;
    },
    forgetSockets: () => {
      sockets.length = 0;
    },
  };
}

/** Serves HTTP/2 through Node's compatibility layer until the end of the test. */
export async function serveHttp2(
  listener: (req: Http2ServerRequest, res: Http2ServerResponse) => void,
  secure = false,
): Promise<{ readonly url: string; readonly server: Http2Server | Http2SecureServer }> {
  const server = secure
    ? createSecureServer(selfSigned(), listener)
    : createH2cServer({}, listener);
  const sessions = new Set<{
    destroy(): void;
    once(event: 'close', listener: () => void): unknown;
  }>();
  server.on('session', (session) => {
    sessions.add(session);
    session.once('close', () => sessions.delete(session));
  });
  const port = await listen(server);
  onTestFinished(async () => {
    for (const session of sessions) session.destroy();
    await closed(server);
  });
  return { url: `${secure ? 'https' : 'http'}://localhost:${port}`, server };
}

interface Listening {
  listen(options: ListenOptions, done: () => void): unknown;
  address(): AddressInfo | string | null;
  close(done: () => void): unknown;
}

async function listen(server: Listening, signal?: AbortSignal): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen({ port: 0, host: 'localhost', ...(signal && { signal }) }, resolve);
  });
  // A TCP server that listens has an address object.
  return (server.address() as AddressInfo).port;
}

/** Resolves at once for a server that the test closed itself. */
async function closed(server: Listening): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
}
