import express, { type RequestHandler } from 'express';
import { Registry } from 'prom-client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk, type ObserveOptions } from '../../../src/index.ts';
import { prometheus } from '../../../src/telemetry/prometheus.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { createLogbook } from '../../support/logbook.ts';
import { parseScrape } from '../../support/scrape.ts';
import { serve, serveHttp2 } from '../../support/test-server.ts';
import { createGate, type Gate } from '../../support/controllable-upstream.ts';
import { soon, turns, until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';
import { createRecordingObserver } from '../../support/recording-observer.ts';

type Keep = ReturnType<typeof lastchunk>;

/** An app that saves by itself, observed; `accounts` asserts the balance of the scrape and gives what was counted. */
async function createShop(handler: (keep: Keep) => RequestHandler, options?: ObserveOptions) {
  const metrics = prometheus({ registry: new Registry() });
  const recorded = createRecordingObserver();
  const logbook = createLogbook();
  const { logger } = logbook;
  const keep = lastchunk({ metrics, observer: recorded.observer, logger });
  onTestFinished(async () => void (await keep.close({ deadlineMs: 100 })));
  const app = express().set('env', 'test');
  app.use(keep.observe(options));
  app.get('/answer', handler(keep));
  const testServer = await serve(app);
  const accounts = async () => {
    const scrape = parseScrape(await metrics.registry.metrics());
    const [expected, pending, saves] = ['expected_total', 'pending', 'total'].map((name) =>
      scrape.sum(`lastchunk_saves_${name}`),
    );
    expect((expected ?? 0) - (saves ?? 0) - (pending ?? 0)).toBe(0);
    const of = (result: string): number => scrape.sum('lastchunk_saves_total', { result });
    const late = (result: string): number => scrape.sum('lastchunk_saves_late_total', { result });
    const revised = (result: string): number =>
      scrape.sum('lastchunk_saves_revised_total', { result });
    return { expected, pending, of, late, revised, scrape };
  };
  return { keep, testServer, accounts, recorded, logbook };
}

/** Writes a short answer; what comes before, between and after is the test's. */
function answer(
  res: Parameters<RequestHandler>[1],
  { before, after }: { readonly before?: () => void; readonly after?: () => void } = {},
): void {
  before?.();
  res.type('text/plain');
  res.write('one ');
  res.end('two');
  after?.();
}

const NOT_NEVER = new Promise<void>(() => undefined);

describe('track()', () => {
  it.each(['before the stream is decided', 'after it has ended'] as const)(
    'counts a fulfilled promise as saved, if it is called %s',
    async (when) => {
      const saving = createGate();
      const { testServer, accounts } = await createShop((keep) => (_, res) => {
        const track = (): void => void keep.track(res, saving.promise);
        answer(res, when.startsWith('before') ? { before: track } : { after: track });
      });
      await (await openClient(testServer, '/answer')).over();
      await until('it is expected', async () => (await accounts()).expected === 1);
      expect((await accounts()).pending).toBe(1);
      saving.open();
      await until('it is saved', async () => (await accounts()).of('saved') === 1);
      const { expected, pending, scrape } = await accounts();
      expect({ expected, pending }).toEqual({ expected: 1, pending: 0 });
      expect(scrape.sum('lastchunk_save_duration_seconds_count', { route: '/answer' })).toBe(1);
    },
  );

  it('counts a promise that was fulfilled before its message was due', async () => {
    const { testServer, accounts } = await createShop((keep) => async (_, res) => {
      await keep.track(res, Promise.resolve());
      answer(res);
    });
    await (await openClient(testServer, '/answer')).over();
    await until('it is saved', async () => (await accounts()).of('saved') === 1);
  });

  it('counts a rejection as lost, logs it, and keeps it from ending the process', async () => {
    const { testServer, accounts, recorded, logbook } = await createShop((keep) => (_, res) => {
      const error = Object.assign(new Error('of a user'), { code: '53100' });
      answer(res, { after: () => void keep.track(res, Promise.reject(error)) });
    });
    await (await openClient(testServer, '/answer')).over();
    expect(await recorded.ended()).toMatchObject({ save: 'lost', errorType: '53100' });
    expect((await accounts()).of('lost')).toBe(1);
    expect(logbook.errors().join()).toContain('message lost');
    expect(logbook.errors().join()).not.toContain('of a user');
  });

  it('returns the promise, whose rejection the app can still handle', async () => {
    const met = createGate<unknown>();
    const error = new Error('no room');
    const { testServer } = await createShop((keep) => async (_, res) => {
      answer(res);
      await Promise.resolve(keep.track(res, Promise.reject(error))).catch(met.open);
    });
    await (await openClient(testServer, '/answer')).over();
    expect(await soon('the rejection', met.promise)).toBe(error);
  });

  it('counts a promise that is pending too long as missing, and its later result as late', async () => {
    const saving = createGate();
    const { testServer, accounts } = await createShop(
      (keep) => (_, res) => answer(res, { after: () => void keep.track(res, saving.promise) }),
      { missingAfterMs: 20 },
    );
    await (await openClient(testServer, '/answer')).over();
    await until('it is missing', async () => (await accounts()).of('missing') === 1);
    saving.open();
    await until('it is late', async () => (await accounts()).late('saved') === 1);
    expect((await accounts()).of('saved')).toBe(0);
  });

  it('counts a second promise as a further save, after the first', async () => {
    const savings: readonly Gate[] = [createGate(), createGate()];
    const { testServer, accounts, recorded } = await createShop((keep) => (_, res) => {
      const track = (): void => {
        for (const { promise } of savings) void keep.track(res, promise);
      };
      answer(res, { before: track, after: track });
    });
    await (await openClient(testServer, '/answer')).over();
    savings[1]?.open();
    await turns();
    expect((await accounts()).revised('saved')).toBe(0);
    savings[0]?.open();
    await until('both are counted', async () => (await accounts()).revised('saved') === 1);
    const { expected, of } = await accounts();
    expect({ expected, saved: of('saved') }).toEqual({ expected: 1, saved: 1 });
    expect(recorded.saves.map(({ kind }) => kind)).toEqual(['first', 'revised']);
  });

  it('counts the expected message of a stream whose client left', async () => {
    const saving = createGate();
    const { testServer, accounts, recorded } = await createShop((keep) => (_, res) => {
      keep.expect(res);
      res.type('text/plain').write('one ');
      res.on('close', () => void keep.track(res, saving.promise));
    });
    const httpClient = await openClient(testServer, '/answer');
    await httpClient.sees('one ');
    httpClient.fin();
    await until('it is expected', async () => (await accounts()).pending === 1);
    saving.open();
    expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', save: 'saved' });
    await accounts();
  });

  it('called without a promise counts a save that becomes missing, and logs it', async () => {
    const { testServer, accounts, logbook } = await createShop(
      (keep) => (_, res) => {
        // A forgotten `return`, in JavaScript.
        answer(res, { after: () => void keep.track(res, undefined as unknown as Promise<void>) });
      },
      { missingAfterMs: 5 },
    );
    await (await openClient(testServer, '/answer')).over();
    await until('it is missing', async () => (await accounts()).of('missing') === 1);
    expect(logbook.lines.some(({ text }) => text.includes('no promise'))).toBe(true);
  });

  it('counts nothing for a response that is not a stream, and handles its rejection', async () => {
    const { testServer, accounts, logbook } = await createShop((keep) => (_, res) => {
      keep.track(res, Promise.reject(new Error('no room')));
      res.status(500).json({ error: 'x' });
      keep.track(res, Promise.reject(new Error('no room')));
    });
    await (await openClient(testServer, '/answer')).over();
    await until('it is said', () => logbook.lines.some(({ text }) => text.includes('none was')));
    const { expected, scrape } = await accounts();
    expect(expected).toBe(0);
    expect(scrape.sum('lastchunk_saves_skipped_total')).toBe(0);
  });

  it('is waited for by close(), and counts as missing if it is pending until then', async () => {
    const saving = createGate();
    const { keep, testServer, accounts } = await createShop((keep) => (req, res) => {
      const save = 'never' in req.query ? NOT_NEVER : saving.promise;
      answer(res, { after: () => void keep.track(res, save) });
    });
    await (await openClient(testServer, '/answer')).over();
    await (await openClient(testServer, '/answer?never')).over();
    await until('both are due', async () => (await accounts()).pending === 2);
    const closing = keep.close({ deadlineMs: 1000 });
    await turns();
    saving.open();
    await closing;
    const { of, pending } = await accounts();
    expect({ saved: of('saved'), missing: of('missing'), pending }).toEqual({
      saved: 1,
      missing: 1,
      pending: 0,
    });
  });
});

describe('expect()', () => {
  it('without track() counts a save that becomes missing', async () => {
    const { testServer, accounts } = await createShop(
      (keep) => (_, res) => answer(res, { before: () => keep.expect(res) }),
      { missingAfterMs: 5 },
    );
    await (await openClient(testServer, '/answer')).over();
    await until('it is missing', async () => (await accounts()).of('missing') === 1);
  });

  it('and track() together count one message, even if track() comes last', async () => {
    const { testServer, accounts } = await createShop((keep) => (_, res) => {
      keep.expect(res);
      keep.expect(res);
      const after = (): void => void keep.track(res, Promise.resolve());
      answer(res, { after: () => setTimeout(after, 5) });
    });
    await (await openClient(testServer, '/answer')).over();
    await until('it is saved', async () => (await accounts()).of('saved') === 1);
    expect((await accounts()).expected).toBe(1);
  });

  it('counts nothing for a stream without a body', async () => {
    const { testServer, accounts, recorded } = await createShop((keep) => (_, res) => {
      keep.expect(res);
      res.type('text/event-stream').flushHeaders();
    });
    const httpClient = await openClient(testServer, '/answer');
    await until('the headers are there', () => httpClient.reply);
    httpClient.fin();
    expect(await recorded.ended()).toMatchObject({ save: 'empty' });
    expect((await accounts()).expected).toBe(0);
  });

  it('works without observe() until the headers are sent, and logs a warning after that', async () => {
    const { keep, recorded, logbook } = createInMemoryInstance();
    const testServer = await serve((req, res) => {
      if (req.url === '/late') res.writeHead(200, { 'content-type': 'text/plain' });
      keep.expect(res);
      res.write('one ');
      keep.track(res, Promise.resolve());
      res.end();
    });
    await (await openClient(testServer, '/soon')).over();
    expect(await recorded.ended()).toMatchObject({ save: 'saved' });
    await (await openClient(testServer, '/late')).over();
    expect(logbook.lines.some(({ text }) => text.includes('after the headers'))).toBe(true);
    expect(recorded.dues).toBe(1);
  });

  it('works over HTTP/2', async () => {
    const { keep, recorded } = createInMemoryInstance();
    const observe = keep.observe();
    const { url } = await serveHttp2((req, res) => {
      observe(req, res);
      keep.track(res, Promise.resolve());
      res.setHeader('content-type', 'text/event-stream');
      res.end('data: one\n\n');
    });
    const { connect } = await import('node:http2');
    const session = connect(url);
    onTestFinished(() => session.destroy());
    session.request({ ':path': '/' }).resume();
    expect(await recorded.ended()).toMatchObject({ save: 'saved' });
  });
});

it('a guarded stream is counted once, by its guard', async () => {
  const { keep, recorded, logbook, store } = createInMemoryInstance();
  const app = express().use(keep.observe());
  app.get('/answer', (_, res, next) => {
    keep.expect(res);
    next();
  });
  app.get('/answer', keep.guard(), (_, res) => {
    keep.track(res, Promise.reject(new Error('its own')));
    answer(res);
  });
  await (await openClient(await serve(app), '/answer')).over();
  expect(await recorded.ended()).toMatchObject({ save: 'saved' });
  expect(store.row.text).toBe('one two');
  expect(recorded.dues).toBe(1);
  expect(recorded.saves).toHaveLength(1);
  expect(logbook.lines.filter(({ text }) => text.includes('under a guard'))).toHaveLength(1);
});
