/**
 * A server to be measured, as a process of its own. Arguments: the compiled package, the variant, the journal's
 * directory. It answers what `servers.ts` asks it: what it has used so far.
 */
import { readdirSync, statSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import express, { type RequestHandler, type Response } from 'express';
import type { MessageStore } from '../src/message.ts';
import { load } from './built.ts';
import { CHUNK, type Question, type Usage, type Variant } from './servers.ts';

const [directory = '', variant = 'express', journal = ''] = process.argv.slice(2);

/** A store that costs nothing: what is measured is the way to it. */
const NO_STORE: MessageStore = { save: async () => {}, close: async () => {} };

const app = express();
app.use('/stream', await middlewareOf(variant as Variant));
app.get('/stream/idle', (_req, res) => {
  begin(res);
  res.write(CHUNK);
});
app.get('/stream/:chunks/:aTick', async (req, res) => {
  begin(res);
  await stream(res, Number(req.params.chunks), Number(req.params.aTick));
  res.end('data: [DONE]\n\n');
});

const server = app.listen(0, '127.0.0.1');
await once(server, 'listening');
process.on('message', (question: Question) => {
  if (question !== 'usage') return;
  const answer: Usage = usage();
  process.send?.(answer);
});
// A parent that is gone needs no server.
process.once('disconnect', () => process.exit());
// Listening on an address, so it is not the path of a pipe.
process.send?.({ port: (server.address() as AddressInfo).port });

async function middlewareOf(kind: Variant): Promise<RequestHandler> {
  const { lastchunk } = await load(directory, 'index.js');
  switch (kind) {
    case 'express':
      return (_req, _res, next) => next();
    case 'observe':
      return lastchunk().observe();
    case 'guard':
      return lastchunk({ store: NO_STORE, journal: false }).guard();
    case 'guard+journal':
      return lastchunk({ store: NO_STORE, journal }).guard();
  }
}

function begin(res: Response): void {
  res.setHeader('content-type', 'text/event-stream');
  // No other request will come on this connection.
  res.setHeader('connection', 'close');
}

async function stream(res: Response, chunks: number, aTick: number): Promise<void> {
  for (let sent = 0; sent < chunks; sent += aTick) {
    let flowing = true;
    for (let one = 0; one < aTick; one++) flowing = res.write(CHUNK);
    if (flowing) await nextTurn();
    else await once(res, 'drain');
  }
  // The last tick's bytes are in the journal only when it is over.
  await nextTurn();
  journalBytes = sizeOf(journal);
}

let journalBytes = 0;

function usage(): Usage {
  globalThis.gc?.();
  globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return { cpuUs: user + system, rss, heapUsed, journalBytes };
}

/** Bytes of the segments in a journal. */
function sizeOf(path: string): number {
  if (path === '') return 0;
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.log'))
    .reduce((bytes, name) => bytes + statSync(join(path, name)).size, 0);
}
