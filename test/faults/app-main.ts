/**
 * The app to which the faults happen: one guarded chat route, a generator in place of a model, metrics. Its handlers write in every way
 * that apps do, over HTTP/1 and HTTP/2. Its environment names database and journal; it sends its parent its addresses, and at the end the
 * result of `close()`.
 */
import { createServer as createHttp } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import compression from 'compression';
import express from 'express';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { lastchunk } from '../../src/index.ts';
import { postgres, postgresRelay } from '../../src/postgres/index.ts';
import { redisRelay } from '../../src/redis/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { openExample } from '../examples/stores.ts';
import { WRITERS } from './app-handlers.ts';
import type { Ask } from './conversation.ts';

const { DATABASE_URL: connectionString = '', JOURNAL: path, JOURNAL_NAME: name } = process.env;
/** An example of docs/own-table.md; without it, the built-in table is used. */
const { EXAMPLE: example } = process.env;
/** The URL of the relay's engine, and the duration of the lease. */
const { RELAY_URL: relayUrl, LEASE_MS: leaseMs } = process.env;

const print =
  (level: string) =>
  (fields: object, message: string): void =>
    console.error(level, message, fields);
const metrics = prometheus({ registry: new Registry() });
const keep = lastchunk({
  store:
    example === undefined
      ? postgres({ connectionString, migrate: true })
      : await openExample(example, connectionString),
  ...(path !== undefined && {
    journal: path === '' ? false : { path, ...(name !== undefined && { name }) },
  }),
  ...(relayUrl !== undefined && {
    relay: {
      engine: relayUrl.startsWith('redis:')
        ? redisRelay({ client: new Redis(relayUrl, { lazyConnect: true }) })
        : postgresRelay({ connectionString: relayUrl, migrate: true }),
      leaseMs: Number(leaseMs),
    },
  }),
  metrics,
  logger: { debug: () => {}, info: print('info'), warn: print('warn'), error: print('error') },
});

/** The conversation is the last part of the path. */
const message = (req: { readonly url?: string | undefined }) => ({
  conversationId: req.url?.split('/').at(-1) ?? '',
});
const app = express();
app.use(compression({ filter: (req) => wantsGzip(req) }));
app.use(express.json({ limit: '1mb' }));
app.post('/chat/:id', keep.guard({ message }), async (req, res) => {
  // Only the clients of this suite send requests.
  const ask = req.body as Ask;
  await WRITERS[ask.handler](ask, res);
});
app.get('/metrics', metrics.handler());
if (relayUrl !== undefined) {
  app.get('/streams/:streamId', keep.resumeHandler({ authorize: () => true }));
}
app.use(keep.errorHandler());

/** The same route without Express, under the same label. */
const plain = keep.guard<IncomingMessage>({ message, route: '/chat/:id' }, async (req, res) => {
  let body = '';
  for await (const piece of req.setEncoding('utf8')) body += String(piece);
  await WRITERS.plain(JSON.parse(body) as Ask, res);
});
const answer = (req: IncomingMessage, res: ServerResponse): void => {
  if (req.url?.startsWith('/plain/') === true) Promise.resolve(plain(req, res)).catch(ignore);
  else app(req, res);
};

const server = createHttp(answer);
const http2 = createHttp2((req, res) => {
  // The guard supports the compatibility API, whose types differ from those of HTTP/1.
  const answered = plain(req as unknown as IncomingMessage, res as unknown as ServerResponse);
  Promise.resolve(answered).catch(ignore);
});
const [url, http2Url] = await Promise.all([listening(server), listening(http2)]);
process.send?.({ url, http2Url });
// Once: the second signal ends the process by Node's default.
process.once('SIGTERM', () => {
  process.send?.({ closing: true });
  server.close();
  http2.close();
  void keep.close({ deadlineMs: Number(process.env['CLOSE_MS']) }).then((closed) => {
    process.send?.({ closed }, () => process.exit(0));
  });
});
// Without the suite the app has no clients.
process.once('disconnect', () => process.exit(0));

/** The guard has already received the error of a handler; it is not reported again. */
function ignore(): void {}

function listening(of: Server): Promise<string> {
  return new Promise((resolve) => {
    of.listen(0, '127.0.0.1', () => {
      // A TCP server that listens has an AddressInfo.
      const { port } = of.address() as AddressInfo;
      resolve(`http://127.0.0.1:${port}`);
    });
  });
}

/** The body is not parsed yet at this point, so a header of the client decides. */
function wantsGzip(req: IncomingMessage): boolean {
  return req.headers['x-compress'] === 'yes';
}
