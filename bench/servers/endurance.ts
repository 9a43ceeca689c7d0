/** The whole of lastchunk in one app, and what it holds on to. Arguments: the database, where the model is. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import express, { type Request } from 'express';
import { load } from '../built.ts';
import { given, serve } from '../child.ts';
import { startSdk } from './variants.ts';

/** What has happened so far. */
export interface Tally {
  /** Streams on their way, and messages that are not in the database yet: of this process, and in its journal. */
  readonly open: { readonly live: number; readonly pending: number; readonly journaled: number };
  /** Streams that are over, by outcome. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The same by what became of their message. */
  readonly saves: Readonly<Record<string, number>>;
}

/** What a process may hold on to. */
export interface Holdings {
  readonly heapBytes: number;
  /** Of the process and of the server. */
  readonly listeners: number;
  readonly timers: number;
  /** Everything that keeps the process alive, timers too. */
  readonly resources: number;
  readonly fileDescriptors: number;
  readonly journalBytes: number;
}

await startSdk([]);
const [connectionString = '', baseURL = ''] = given.args;
const { lastchunk } = await load(given.directory, 'index.js');
const { postgres } = await load(given.directory, 'postgres/index.js');
const { prometheus } = await load(given.directory, 'telemetry/prometheus.js');

let live = 0;
const outcomes: Record<string, number> = {};
const saves: Record<string, number> = {};
const metrics = prometheus();
const keep = lastchunk({
  store: postgres({ connectionString, migrate: true }),
  journal: given.journal,
  metrics,
  observer: {
    onStart: () => void (live += 1),
    onEnd: ({ outcome, save = 'none' }) => {
      live -= 1;
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      saves[save] = (saves[save] ?? 0) + 1;
    },
  },
});

const app = express().set('env', 'test');
const message = (req: Request<{ model: string }>) => ({ conversationId: req.params.model });
app.get(
  '/chat/:model',
  keep.guard({ message, idleTimeoutMs: 500, stallTimeoutMs: 2_000 }),
  async (req, res) => {
    const signal = keep.stream(res)?.signal ?? null;
    const { body } = await fetch(`${baseURL}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: req.params.model }),
      signal,
    });
    res.setHeader('content-type', 'text/event-stream');
    for await (const piece of body ?? []) res.write(piece);
    res.end();
  },
);
app.delete('/streams/:streamId', keep.stopHandler({ authorize: () => true }));
app.get('/metrics', metrics.handler());
app.use(keep.errorHandler());

const server = await serve(app, { tally, holdings });

function tally(): Tally {
  const { pending, journal } = keep.health();
  return { open: { live, pending, journaled: journal?.entries ?? 0 }, outcomes, saves };
}

function holdings(): Holdings {
  globalThis.gc?.();
  globalThis.gc?.();
  const resources = process.getActiveResourcesInfo();
  return {
    heapBytes: process.memoryUsage().heapUsed,
    listeners: [process, server]
      .flatMap((emitter) => emitter.eventNames().map((name) => emitter.listenerCount(name)))
      .reduce((sum, count) => sum + count, 0),
    timers: resources.filter((name) => name === 'Timeout').length,
    resources: resources.length,
    fileDescriptors: readdirSync('/proc/self/fd').length,
    journalBytes: bytesIn(given.journal),
  };
}

function bytesIn(path: string): number {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(path, name), { throwIfNoEntry: false })?.size ?? 0)
    .reduce((sum, size) => sum + size, 0);
}
