/**
 * The demo by hand: a chat page, and behind its buttons what the chaos does by itself. It stands in front of the app, whose port
 * changes each time it is killed, and listens on the loopback interface alone.
 */
import { readFile } from 'node:fs/promises';
import {
  createServer,
  type IncomingMessage,
  request as ask,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { World } from './faults.ts';

/** A playground that is up. */
export interface Playground {
  readonly url: string;
  close(): void;
}

/** Its own files; everything else is the app's. */
const FILES: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  '/': { file: 'index.html', type: 'text/html' },
  '/chat.css': { file: 'chat.css', type: 'text/css' },
  '/chat.js': { file: 'chat.js', type: 'text/javascript' },
};

/** What our own model is asked to say again: a few seconds of it. The app's own model answers once. */
const REPEATED = 12;

/** Starts it. `run` begins the ids of conversations, as those of the chaos. */
export async function startPlayground(world: World, run: string): Promise<Playground> {
  const pages = new Map<string, string>();
  for (const [path, { file }] of Object.entries(FILES)) {
    pages.set(path, await readFile(new URL(`chat/${file}`, import.meta.url), 'utf8'));
  }
  const setup = {
    run,
    repeated: world.upstream === undefined ? 1 : REPEATED,
    breaks: breaksOf(world),
  };
  const listener: RequestListener = (req, res) => {
    if (!isOurs(req)) return void res.writeHead(403).end();
    const path = new URL(req.url ?? '/', 'http://localhost').pathname;
    const page = pages.get(path);
    if (page !== undefined && req.method === 'GET') return sendPage(res, path, page);
    if (path === '/setup') return sendJson(res, { ...setup, breaks: Object.keys(setup.breaks) });
    if (path.startsWith('/break/') && req.method === 'POST') {
      return void breakIt(setup.breaks[path.slice('/break/'.length)], res);
    }
    return passOn(world.app.url, req, res);
  };
  const server = createServer(listener);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  // A TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

type Break = () => Promise<void>;

/** What the buttons do, by the names of their addresses. */
function breaksOf({ app, database }: World): Readonly<Record<string, Break>> {
  const { server } = database;
  return {
    connections: () => database.killConnections(),
    app: async () => {
      await app.kill();
      await app.start();
    },
    ...(server !== undefined && {
      'database-stop': () => server.stopImmediate(),
      'database-start': () => server.start(),
    }),
  };
}

/** Pages of other origins, also those whose name leads here, can ask for nothing. */
function isOurs({ headers, method, socket }: IncomingMessage): boolean {
  const host = `127.0.0.1:${socket.localPort}`;
  if (headers.host !== host) return false;
  const changes = method !== 'GET' && method !== 'HEAD';
  return !changes || headers.origin === `http://${host}`;
}

function sendPage(res: ServerResponse, path: string, page: string): void {
  res.writeHead(200, {
    'Content-Type': `${FILES[path]?.type}; charset=utf-8`,
    'Cache-Control': 'no-store',
    'Content-Security-Policy': "default-src 'self'; img-src data:; frame-ancestors 'none'",
  });
  res.end(page);
}

function sendJson(res: ServerResponse, value: object): void {
  res.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  res.end(JSON.stringify(value));
}

/** Answers when it is broken; 500 with the reason where it could not be. */
async function breakIt(work: Break | undefined, res: ServerResponse): Promise<void> {
  if (work === undefined) return void res.writeHead(404).end();
  try {
    await work();
    res.writeHead(204).end();
  } catch (error) {
    res.writeHead(500, { 'Content-Type': 'text/plain' }).end(String(error));
  }
}

/** To the app as it is now. A connection that either of the two ends is ended for the other. */
function passOn(app: string, req: IncomingMessage, res: ServerResponse): void {
  const { method, headers, url = '/' } = req;
  const asked = ask(new URL(url, app), { method, headers }, (reply) => {
    res.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(res);
    reply.on('error', () => res.destroy());
  });
  asked.on('error', () => {
    if (res.headersSent) res.destroy();
    else res.writeHead(502).end();
  });
  res.on('close', () => asked.destroy());
  req.pipe(asked);
}
