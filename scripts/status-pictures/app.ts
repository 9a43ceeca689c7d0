/** A chat app with visitors, for the pictures of its status: most streams are short, some clients leave, one handler holds a connection. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import express, { type Request, type RequestHandler } from 'express';
import pg from 'pg';
import { lastchunk } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';

/** A running app. */
export interface PicturedApp {
  /** Of its status. */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts it, with `perSecond` visitors. */
export async function startApp(connectionString: string, perSecond: number): Promise<PicturedApp> {
  const home = mkdtempSync(join(tmpdir(), 'lastchunk-status-'));
  const keep = lastchunk({
    store: postgres({ connectionString, migrate: true }),
    journal: join(home, 'journal'),
    logger: false,
  });
  const pool = new pg.Pool({ connectionString, max: 10, connectionTimeoutMillis: 1_000 });
  pool.on('error', ignore);
  keep.watchPool(pool, { name: 'app', heldMs: 5_000 });

  const message = (req: Request<{ id: string }>) => ({ conversationId: req.params.id });
  const app = express().set('env', 'test');
  app.use('/status', keep.statusHandler({ authorize: () => true }));
  app.post('/api/chat/:id', keep.guard({ message }), answer(20));
  app.post('/api/search/:id', keep.guard({ message }), async (req, res, next) => {
    // What should not be done: the connection is held while the answer is written.
    const client = await pool.connect().catch(() => undefined);
    client?.on('error', ignore);
    try {
      await answer(60)(req, res, next);
    } finally {
      client?.off('error', ignore);
      client?.release();
    }
  });
  app.use(keep.errorHandler());
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server that listens has an AddressInfo.
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const closing = new AbortController();
  const visits = visit(url, perSecond, closing.signal);
  return {
    url: `${url}/status`,
    close: async () => {
      closing.abort();
      await visits;
      server.close();
      server.closeAllConnections();
      await keep.close();
      await pool.end();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** A connection that dies with its server is no failure of the app. */
function ignore(): void {}

/** So many words, a quarter of a second apart. */
function answer(words: number): RequestHandler<{ id: string }> {
  return async (_req, res) => {
    res.type('text/event-stream');
    for (let word = 0; word < words; word += 1) {
      res.write(`data: ${JSON.stringify({ text: ` word ${word}` })}\n\n`);
      await sleep(250);
    }
    res.end('data: [DONE]\n\n');
  };
}

/** Every tenth visitor asks the slow route, every fifth leaves after a second. */
async function visit(url: string, perSecond: number, signal: AbortSignal): Promise<void> {
  const ask = async (number: number): Promise<void> => {
    const route = number % 10 === 7 ? 'search' : 'chat';
    const leaves = number % 5 === 2 ? [AbortSignal.timeout(1_000)] : [];
    const request = { method: 'POST', signal: AbortSignal.any([signal, ...leaves]) };
    await (await fetch(`${url}/api/${route}/${number}`, request)).text();
  };
  for (let number = 0; !signal.aborted; number += 1) {
    // A visitor who left, or whose answer was cut, is part of the picture.
    ask(number).catch(() => undefined);
    const busy = 1 + Math.sin(number / 40) / 2;
    await sleep(1_000 / (perSecond * busy), undefined, { signal }).catch(() => undefined);
  }
}
