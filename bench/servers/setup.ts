/**
 * One handler in the setups that apps run it in. Arguments: the setup (a key of `SETUPS` in parts/setups.ts), and whether a guard is in front of
 * it (`guard` or `bare`).
 */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RequestHandler } from 'express';
import { load } from '../built.ts';
import { given, serve } from '../child.ts';
import { CHUNK, DONE, FINISH } from '../frames.ts';
import { startSdk } from './variants.ts';

const [setup = '', way = '', tlsFile = ''] = given.args;

if (setup === 'opentelemetry') {
  const { HttpInstrumentation } = await import('@opentelemetry/instrumentation-http');
  const { ExpressInstrumentation } = await import('@opentelemetry/instrumentation-express');
  await startSdk([new HttpInstrumentation(), new ExpressInstrumentation()]);
}
const { lastchunk } = await load(given.directory, 'index.js');
const store = { save: nothing, close: nothing };
const keep = way === 'guard' ? lastchunk({ store, journal: given.journal }) : undefined;

const tls = tlsFile === '' ? {} : { key: readFileSync(tlsFile), cert: readFileSync(tlsFile) };
if (setup === 'http2') await serveHttp2();
else await serveExpress();

async function serveExpress(): Promise<void> {
  // After instrumentations, which have to be there first.
  const { default: express } = await import('express');
  const { default: compression } = await import('compression');
  const app = express();
  if (setup === 'compression') app.use(compression());
  const bare: RequestHandler = (_req, _res, next) => next();
  app.get('/stream/:chunks', keep?.guard() ?? bare, (req, res) =>
    write(res, Number(req.params['chunks'])),
  );
  const listener: RequestListener = app;
  await serve(setup === 'https' ? createHttps(tls, listener) : createServer(listener));
}

/** Express answers no HTTP/2: without it, as a guard takes a handler of `node:http`. */
async function serveHttp2(): Promise<void> {
  const handler = async (req: { url?: string }, res: ServerResponse): Promise<void> =>
    write(res, Number(req.url?.split('/')[2]));
  const guarded = keep?.guard({ route: '/stream/:chunks' }, handler) ?? handler;
  const server = createSecureServer(tls, (req, res) => {
    // The compatible API is what the guard is for; its types are apart from those of HTTP/1.
    void guarded(req as never, res as never);
  });
  await serve(server);
}

/** Eight chunks a turn. */
async function write(res: ServerResponse, chunks: number): Promise<void> {
  res.setHeader('content-type', 'text/event-stream');
  for (let sent = 0; sent < chunks; sent += 8) {
    for (let one = 0; one < 8; one++) res.write(CHUNK);
    await nextTurn();
  }
  res.write(FINISH);
  res.end(DONE);
}

async function nothing(): Promise<void> {}
