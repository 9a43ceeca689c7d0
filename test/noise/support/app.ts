/**
 * The app that every adapter is tried on: one handler, which logs what it catches, and one client, which leaves. Only
 * `report`, which is how that app logs, differs from adapter to adapter.
 */
import { once } from 'node:events';
import http from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { Registry } from 'prom-client';
import { prometheus } from '../../../src/telemetry/prometheus.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { parseScrape } from '../../support/scrape.ts';
import { serve } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';

/** Logs an error that a handler caught. */
export type Report = (error: unknown, req: Request, res: Response) => void;

/** What the handler is doing when its client leaves, or when it breaks. */
export const WORK = {
  /** Noise: an AbortError of Node's, whose cause is the reason of the stream's own signal. */
  waits: (signal, _res) => sleep(600_000, undefined, { signal }),
  /** Noise: the very reason of the signal. */
  fetches: (signal) => fetch(SILENT.url, { signal }),
  /** Noise: the AbortError of `node:http`, which comes in a listener of the request. */
  requests: (signal) =>
    new Promise((_resolve, reject) => http.get(SILENT.url, { signal }).on('error', reject)),
  /** Noise: ERR_STREAM_PREMATURE_CLOSE. */
  pipes: (_signal, res) => pipeline(Readable.from(endless()), res),
  /** A real failure, while the client is there. */
  breaks: () => fetch(BROKEN.url),
  /** A real failure, in the stream of a client that has left. */
  'breaks late': async (signal) => {
    await once(signal, 'abort').catch(() => undefined);
    await fetch(BROKEN.url);
  },
  /** A real failure: a time-out of the app's own, which looks like an abort to whoever does not see its cause. */
  'times out': () => sleep(600_000, undefined, { signal: AbortSignal.timeout(300) }),
} as const satisfies Record<string, (signal: AbortSignal, res: Response) => Promise<unknown>>;

export type Work = keyof typeof WORK;

/** Ways of work that end in noise when the client leaves. */
export const NOISY = ['waits', 'fetches', 'requests', 'pipes'] as const satisfies readonly Work[];

/** What may be different. */
export interface NoisyOptions {
  /** Stands before the guard. */
  readonly before?: RequestHandler;
  /** What becomes of the handler when its client leaves; default `keep`: its signal aborts. */
  readonly disconnected?: 'keep' | 'finish';
}

/** Serves the app until the end of the test. Make the adapter first, as an app does. */
export async function createNoisyApp(report: Report, options: NoisyOptions = {}) {
  const { before, disconnected = 'keep' } = options;
  const metrics = prometheus({ registry: new Registry() });
  const { keep, recorded } = createInMemoryInstance({ metrics });
  const app = express().set('env', 'test');
  const silent = await serve((_req, res) => res.flushHeaders());
  SILENT.url = silent.url;
  BROKEN.url = (await serve((_req, res) => res.socket?.destroy())).url;
  if (before !== undefined) app.use(before);
  let streamId: string | undefined;
  let reported = 0;
  app.get(
    '/:work',
    keep.guard({ policy: { disconnected }, format: 'text', stream: () => true }),
    async (req, res) => {
      const stream = keep.stream(res);
      if (stream === undefined) throw new Error('there is a guard');
      streamId = stream.id;
      res.write('one ');
      // The keys are the only routes that a test asks for.
      const work = WORK[req.params['work'] as Work];
      try {
        await work(stream.signal, res);
      } catch (error) {
        report(error, req, res);
        reported += 1;
      }
      res.end();
    },
  );
  const testServer = await serve(app);
  const reports = (): Promise<unknown> => until('the handler has reported', () => reported > 0);
  return {
    keep,
    recorded,
    get streamId(): string {
      if (streamId === undefined) throw new Error('there was no stream');
      return streamId;
    },
    /** Asks, leaves when it has seen a beginning, and waits until the handler has logged what it caught. */
    leaves: async (work: Work): Promise<void> => {
      const httpClient = await openClient(testServer, `/${encodeURIComponent(work)}`);
      await httpClient.sees('one ');
      httpClient.fin();
      await reports();
      await recorded.ended();
      await turns();
    },
    /** Asks and stays. */
    stays: async (work: Work): Promise<void> => {
      const httpClient = await openClient(testServer, `/${encodeURIComponent(work)}`);
      await httpClient.over();
      await reports();
    },
    /** `lastchunk_noise_total`, of all reasons. */
    noiseTotal: async (): Promise<number> =>
      parseScrape(await metrics.registry.metrics()).sum('lastchunk_noise_total'),
  };
}

/** A server that never answers, and one that hangs up; set before the app is asked. */
const SILENT = { url: '' };
const BROKEN = { url: '' };

async function* endless(): AsyncGenerator<string> {
  for (;;) {
    yield 'two ';
    await sleep(5);
  }
}
