/** Handlers that do it wrong, in all the places where they do: the app must not notice lastchunk, and lastchunk must notice the app. */
import express, { type RequestHandler } from 'express';
import express4 from 'express4';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createChat } from '../support/chat.ts';
import { chatChunk } from '../support/frames.ts';
import { createApp, createFullFixture, type FullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { serve } from '../support/test-server.ts';
import { createGate } from '../support/controllable-upstream.ts';
import { installTracing } from '../support/tracing.ts';
import { turns, until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

const FRAMEWORKS = [
  ['Express 5', express],
  ['Express 4', express4],
] as const;

const mistake = new Error('a mistake of the app');

const FAILURES: ReadonlyArray<readonly [string, RequestHandler]> = [
  [
    'throws',
    () => {
      throw mistake;
    },
  ],
  ['rejects', () => Promise.reject(mistake)],
  ['calls next(err)', (_, __, next) => next(mistake)],
];

describe('write after end, end twice, and end on a destroyed response', () => {
  it('behave as without a guard, and the stream is settled once', async () => {
    const said: string[] = [];
    const handler: RequestHandler = (_, res) => {
      res.on('error', (error) => said.push(error.message));
      res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
      res.write(chatChunk({}, 'stop'));
      res.end('data: [DONE]\n\n', () => said.push('callback'));
      res.write('late', (error) => said.push(`write: ${error?.message ?? 'no error'}`));
      res.end();
      res.end('later');
    };
    const { fixture, ask } = await open(handler);
    const reply = await ask();
    expect(reply.body.toString()).toBe(
      `${chatChunk({ content: 'hello' })}${chatChunk({}, 'stop')}data: [DONE]\n\n`,
    );
    await fixture.agree({
      outcome: 'completed',
      side: 'server',
      text: 'hello',
      complete: true,
      revision: 0,
    });
    expect(said.toSorted()).toEqual([
      'callback',
      'write after end',
      'write after end',
      'write: write after end',
    ]);
  });

  it('and end(callback) calls back on a response whose client has left', async () => {
    const called = createGate();
    const go = createGate();
    const { fixture, testServer } = await open(async (_, res) => {
      res.type('text/plain').write('hello');
      await go.promise;
      res.end(() => called.open());
    });
    const httpClient = await openClient(testServer, '/chat/c', { method: 'POST' });
    await httpClient.sees('hello');
    httpClient.rst();
    await until('the server has met the close', () => testServer.closedSockets === 1);
    go.open();
    await called.promise;
    await fixture.agree({ outcome: 'disconnected', side: 'client', text: 'hello', complete: true });
  });

  it('and end() after res.destroy() does not change the outcome', async () => {
    const { fixture, ask } = await open((_, res) => {
      res.type('text/plain').write('hello');
      setImmediate(() => {
        res.destroy();
        res.end('late');
        res.write('later');
      });
    });
    expect((await ask()).whole).toBe(false);
    await fixture.agree({ outcome: 'failed', side: 'server', text: 'hello', complete: false });
  });
});

describe.each(FRAMEWORKS)('in %s', (_, framework) => {
  it.each(FAILURES)('a handler that %s after the headers has failed', async (_name, fail) => {
    const fixture = await createFullFixture(database, spans);
    const httpClient = await failing(fixture, framework, async (req, res, next) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'hello' }));
      await new Promise(setImmediate);
      await fail(req, res, next);
    });
    expect((await httpClient.over()).whole).toBe(false);
    await fixture.agree({
      outcome: 'failed',
      side: 'server',
      text: 'hello',
      complete: false,
      revision: 0,
    });
    expect((await fixture.scrape()).sum('lastchunk_noise_total')).toBe(0);
  });

  it.each(FAILURES)("that %s before them gets the app's own error page", async (_name, fail) => {
    const fixture = await createFullFixture(database, spans);
    const httpClient = await failing(fixture, framework, fail);
    const { status, headers, body } = await httpClient.over();
    expect({ status, body: body.toString() }).toEqual({ status: 503, body: 'sorry' });
    expect(headers).not.toHaveProperty('x-stream-id');
    await turns();
    expect(fixture.recorded.told).toEqual([]);
    expect(await fixture.rows()).toEqual([]);
    expect((await fixture.scrape()).sum('lastchunk_streams_started_total')).toBe(0);
  });
});

describe('what is a stream and what is not', () => {
  it('in one app: a cached answer, errors of all kinds, and bodies of known length', async () => {
    const fixture = await createFullFixture(database, spans);
    const answer = chatChunk({ content: 'hello' }) + chatChunk({}, 'stop');
    const handlers: Readonly<Record<string, RequestHandler>> = {
      cached: (_, res) => void res.type('text/event-stream').send(answer),
      json: (_, res) => void res.status(429).json({ error: 'slow down' }),
      page: (_, res) => void res.status(200).type('text/plain').end('busy, come back later'),
      untyped: (_, res) => void res.end('no'),
      sized: (_, res) => {
        res.type('text/event-stream').setHeader('content-length', answer.length);
        res.write(answer);
        res.end();
      },
      plain: (_, res) => {
        res.type('text/plain').write('hel');
        res.end('lo');
      },
    };
    const app = createApp();
    app.get('/:name', fixture.keep.guard({}), (req, res, next) => {
      void handlers[req.params.name]?.(req, res, next);
    });
    const testServer = await serve(app);
    const streams: string[] = [];
    for (const name of Object.keys(handlers)) {
      const { headers, whole } = await (await openClient(testServer, `/${name}`)).over();
      expect(whole).toBe(true);
      if (headers['x-stream-id'] !== undefined) streams.push(name);
    }
    expect(streams).toEqual(['cached', 'sized', 'plain']);
    await fixture.recorded.ended(3);
    const rows = await fixture.rows();
    expect(rows.map(({ content, complete }) => [content, complete])).toEqual(
      Array(3).fill(['hello', true]),
    );
    expect((await fixture.scrape()).sum('lastchunk_streams_started_total')).toBe(3);
  });
});

describe('a stream that goes on after its released terminal frame', () => {
  it('by more text: one row, revision 1, and row, metrics, span and log agree', async () => {
    const go = createGate();
    const { fixture, testServer } = await open(async (_, res) => {
      res.type('text/event-stream').write(chatChunk({ content: 'The ' }));
      res.write(chatChunk({}, 'stop'));
      await go.promise;
      res.write(chatChunk({ content: 'answer' }));
      res.end();
    });
    const httpClient = await openClient(testServer, '/chat/c', { method: 'POST' });
    await httpClient.sees('"finish_reason":"stop"');
    expect(await fixture.rows()).toMatchObject([{ content: 'The ', complete: true, revision: 0 }]);
    go.open();
    const { outcome, side } = await fixture.recorded.ended();
    await fixture.agree({ outcome, side, text: 'The answer', revision: 1 });
    expect((await fixture.scrape()).sum('lastchunk_saves_revised_total')).toBe(1);
  });

  it.each(FAILURES)('by a handler that %s: failed, revision 1', async (_, fail) => {
    const go = createGate();
    const { fixture, testServer } = await open(async (req, res, next) => {
      res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
      res.write(chatChunk({}, 'stop'));
      await go.promise;
      await fail(req, res, next);
    });
    const httpClient = await openClient(testServer, '/chat/c', { method: 'POST' });
    await httpClient.sees('"finish_reason":"stop"');
    go.open();
    await fixture.agree({
      outcome: 'failed',
      side: 'server',
      text: 'hello',
      complete: false,
      revision: 1,
    });
    expect((await fixture.scrape()).sum('lastchunk_saves_revised_total', { result: 'saved' })).toBe(
      1,
    );
  });
});

describe('a handler that ends its answer and then, while the end is held,', () => {
  const answer = chatChunk({ content: 'hello' }) + chatChunk({}, 'stop');

  it.each(FAILURES)(
    '%s: has failed, and its client still gets the whole answer',
    async (_, fail) => {
      const { fixture, ask } = await open((req, res, next) => {
        res.type('text/event-stream').end(answer);
        return fail(req, res, next);
      });
      const reply = await ask();
      expect(reply).toMatchObject({ status: 200, whole: true });
      expect(reply.body.toString()).toBe(answer);
      await fixture.agree({
        outcome: 'failed',
        side: 'server',
        text: 'hello',
        complete: false,
        revision: 1,
      });
      const revised = (await fixture.scrape()).sum('lastchunk_saves_revised_total', {
        result: 'saved',
      });
      expect(revised).toBe(1);
    },
  );

  it('destroys the response: its client gets the whole answer, as without a guard', async () => {
    const { fixture, ask } = await open((_, res) => {
      res.type('text/event-stream').end(answer);
      res.destroy();
    });
    const reply = await ask();
    expect(reply.whole).toBe(true);
    expect(reply.body.toString()).toBe(answer);
    await fixture.agree({ outcome: 'completed', side: 'server', text: 'hello', complete: true });
  });

  it('destroys the response with an error: has failed, and its client gets the whole answer', async () => {
    const { fixture, ask } = await open((_, res) => {
      res.on('error', () => undefined);
      res.type('text/event-stream').end(answer);
      res.destroy(mistake);
    });
    expect((await ask()).whole).toBe(true);
    await fixture.agree({ outcome: 'failed', side: 'server', complete: false, revision: 1 });
  });

  it('fails because it was stopped: is still stopped', async () => {
    const fixture = await createFullFixture(database, spans);
    const chat = await createChat(fixture, async (_, res) => {
      const signal = fixture.keep.stream(res)?.signal;
      res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
      await until('it is stopped', () => signal?.aborted);
      res.write(chatChunk({}, 'stop'));
      res.end();
      throw mistake;
    });
    const httpClient = await chat.ask();
    await httpClient.sees('hello');
    expect((await chat.stop(httpClient)).status).toBe(200);
    expect((await httpClient.over()).whole).toBe(true);
    await fixture.agree({ outcome: 'stopped', side: 'client', text: 'hello', revision: 0 });
  });
});

it('a held terminal frame is sent before its response is destroyed', async () => {
  const { fixture, ask } = await open((_, res) => {
    res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    res.write(chatChunk({}, 'stop'));
    setImmediate(() => res.destroy());
  });
  const reply = await ask();
  expect(reply.whole).toBe(false);
  expect(reply.body.toString()).toBe(chatChunk({ content: 'hello' }) + chatChunk({}, 'stop'));
  await fixture.agree({ outcome: 'completed', side: 'server', text: 'hello', complete: true });
});

async function open(handler: RequestHandler) {
  const fixture = await createFullFixture(database, spans);
  const { testServer, ask } = await createChat(fixture, handler);
  return { fixture, testServer, ask: async () => (await ask()).over() };
}

/** A guarded handler, wrapped, in an app with an error page of its own. */
async function failing(fixture: FullFixture, framework: typeof express, handler: RequestHandler) {
  const app = createApp(framework);
  app.get('/', fixture.keep.guard({}, handler));
  app.use(fixture.keep.errorHandler());
  const page: express.ErrorRequestHandler = (error, _req, res, next) => {
    if (res.headersSent) next(error);
    else res.status(503).type('text/plain').send('sorry');
  };
  app.use(page);
  return openClient(await serve(app), '/');
}
