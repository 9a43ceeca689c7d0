/** `keep.errorHandler()` behind handlers whose client leaves, on both Express. */
import { setTimeout as delay } from 'node:timers/promises';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import express4 from 'express4';
import { describe, expect, it } from 'vitest';
import { lastchunk } from '../../src/index.ts';
import { createLogbook } from '../support/logbook.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { serve } from '../support/test-server.ts';
import { turns, until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';

const frameworks: ReadonlyArray<readonly [string, () => Express]> = [
  ['Express 4', express4],
  ['Express 5', express],
];

/** An app whose own error handler remembers what reaches it; the route is `handler` under a guard that does not outlive. */
function createSite(framework: () => Express, handler: RequestHandler) {
  const logbook = createLogbook();
  const store = createMemoryStore();
  const keep = lastchunk({ journal: false, store, logger: logbook.logger });
  const passedOn: unknown[] = [];
  const remember: ErrorRequestHandler = (error, _req, res, _next) => {
    passedOn.push(error);
    res.destroy();
  };
  const app = framework().set('env', 'test');
  app.get('/', keep.guard({ format: 'text', policy: { disconnected: 'keep' } }), handler);
  app.use(keep.errorHandler(), remember);
  const noise = (): readonly string[] =>
    logbook.lines
      .filter(({ level, text }) => level === 'debug' && text.includes('"noise":true'))
      .map(({ text }) => text);
  return { app, keep, store, passedOn, noise };
}

/** Waits for a token that never comes, as long as `signal` lets it. */
async function nextToken(signal?: AbortSignal): Promise<void> {
  await delay(60_000, undefined, { signal });
}

describe.each(frameworks)('on %s', (_, framework) => {
  it('an abort after the client left is only logged at debug', async () => {
    let failed = false;
    const { app, keep, store, passedOn, noise } = createSite(framework, (_req, res, next) => {
      res.type('text/plain').write('one ');
      nextToken(keep.stream(res)?.signal).catch((error: unknown) => {
        next(error);
        failed = true;
      });
    });
    const httpClient = await openClient(await serve(app), '/');
    await httpClient.sees('one ');
    httpClient.fin();
    await until('the handler has failed', () => failed);
    await turns();
    expect(passedOn).toEqual([]);
    expect(noise()).toHaveLength(1);
    await until('the message is saved', () => store.rows.size === 1);
    expect(noise()[0]).toContain('"noise":true,"noiseReason":"abort-error"');
    expect(noise()[0]).toContain(`"streamId":"${store.row.streamId}"`);
    expect(store.row).toMatchObject({ outcome: 'disconnected', text: 'one ' });
  });

  it('an abort after a stop is not passed on, and the stop ends the response', async () => {
    const { app, keep, store, passedOn, noise } = createSite(framework, (_req, res, next) => {
      res.type('text/plain').write('one ');
      nextToken(keep.stream(res)?.signal).catch(next);
      setImmediate(() => keep.stream(res)?.stop());
    });
    const httpClient = await openClient(await serve(app), '/');
    expect((await httpClient.over()).whole).toBe(true);
    expect(passedOn).toEqual([]);
    expect(noise()).toHaveLength(1);
    expect(store.row).toMatchObject({ outcome: 'stopped', complete: false });
  });

  it('a failure after the client left is passed on', async () => {
    const broken = new Error('the vector store is down');
    const { app, keep, passedOn, noise } = createSite(framework, (_req, res, next) => {
      res.type('text/plain').write('one ');
      nextToken(keep.stream(res)?.signal).catch(() => next(broken));
    });
    const httpClient = await openClient(await serve(app), '/');
    await httpClient.sees('one ');
    httpClient.fin();
    await until('it is passed on', () => passedOn.length > 0);
    expect(passedOn).toEqual([broken]);
    expect(noise()).toEqual([]);
  });

  it('an abort while the client is connected is passed on, and the stream has failed', async () => {
    const { app, store, passedOn, noise } = createSite(framework, (_req, res, next) => {
      res.type('text/plain').write('one ');
      nextToken(AbortSignal.abort()).catch(next);
    });
    const httpClient = await openClient(await serve(app), '/');
    await httpClient.over();
    expect(passedOn).toHaveLength(1);
    expect(noise()).toEqual([]);
    await until('the message is saved', () => store.rows.size === 1);
    expect(store.row).toMatchObject({ outcome: 'failed', side: 'server' });
  });

  it('an abort before the first byte is passed on, for Express to end the response', async () => {
    const { app, passedOn, noise } = createSite(framework, (req, _res, next) => {
      const gone = new AbortController();
      nextToken(gone.signal).catch(next);
      req.socket.once('close', () => setImmediate(() => gone.abort()));
    });
    const testServer = await serve(app);
    const httpClient = await openClient(testServer, '/');
    await until('the request is there', () => testServer.sockets.length === 1);
    await turns();
    httpClient.fin();
    await until('it is passed on', () => passedOn.length > 0);
    expect(noise()).toEqual([]);
  });

  it('an error of a response that is no stream is passed on', async () => {
    const { app, passedOn } = createSite(framework, (_req, _res, next) => {
      nextToken(AbortSignal.abort()).catch(next);
    });
    const httpClient = await openClient(await serve(app), '/');
    await httpClient.over();
    expect(passedOn).toHaveLength(1);
  });
});
