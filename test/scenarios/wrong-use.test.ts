/** Wrong uses that load, start and run: each is answered with a sentence that says what to do. */
import express, { type Express, type RequestHandler } from 'express';
import { Registry } from 'prom-client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk } from '../../src/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import { createLogbook } from '../support/logbook.ts';
import { serve } from '../support/test-server.ts';
import { thrownBy } from '../support/thrown-by.ts';

const CHAT: RequestHandler = (_req, res) => {
  res.type('text/event-stream');
  res.write('data: {"text":"hello"}\n\n');
  res.end('data: [DONE]\n\n');
};

/** Posts to an app and returns the status, and what its own error handler got. */
async function post(app: Express, path = '/chat', body?: object) {
  let error: unknown;
  app.use(((thrown, _req, res, _next) => {
    error = thrown;
    res.sendStatus(500);
  }) as express.ErrorRequestHandler);
  const { url } = await serve(app);
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    ...(body && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  });
  await response.text();
  return { status: response.status, error };
}

const newApp = (): Express => express().set('env', 'test');

describe('a function that makes a middleware, passed on without a call', () => {
  const keep = () => createInMemoryInstance().keep;
  const metrics = prometheus({ registry: new Registry() });

  it.each<[string, string, () => unknown]>([
    ['keep.guard', 'keep.guard({ message })', () => keep().guard],
    ['keep.observe', 'keep.observe()', () => keep().observe],
    ['keep.errorHandler', 'keep.errorHandler()', () => keep().errorHandler],
    ['keep.healthHandler', 'keep.healthHandler()', () => keep().healthHandler],
    ['keep.stopHandler', 'keep.stopHandler({ authorize })', () => keep().stopHandler],
    ['keep.resumeHandler', 'keep.resumeHandler({ authorize })', () => keep().resumeHandler],
    ['keep.health', 'keep.healthHandler()', () => keep().health],
    ['metrics.handler', 'metrics.handler()', () => metrics.handler],
  ])('reports how %s is called', async (name, call, make) => {
    const app = newApp();
    // What JavaScript lets an app do.
    app.use(make() as RequestHandler);
    app.post('/chat', CHAT);
    const { status, error } = await post(app);
    expect(status).toBe(500);
    expect(error).toMatchObject({
      code: 'bad-option',
      message: `\`${name}\` was handed on without a call: write \`${call}\``,
    });
  });
});

describe('an unknown option', () => {
  it.each([
    ['polcy', 'policy'],
    ['mesage', 'message'],
    ['finsh', 'finish'],
    ['MaxBytes', 'maxBytes'],
    ['evnets', 'events'],
  ])('(%s) is rejected with the suggestion %s', (typed, meant) => {
    const { keep } = createInMemoryInstance();
    const error = thrownBy(() => keep.guard({ [typed]: {} }));
    expect(error.message).toMatch(
      `unknown option \`${typed}\` of guard(); did you mean \`${meant}\`? known are route, format`,
    );
  });

  it('is rejected without a suggestion if no option is similar', () => {
    const { keep } = createInMemoryInstance();
    const error = thrownBy(() => keep.guard({ retries: 3 } as object));
    expect(error.message).toMatch(/^unknown option `retries` of guard\(\); known are route, /);
  });
});

describe('a guard', () => {
  it('behind its handler reports that it has to be in front', async () => {
    const { keep, logbook, store } = createInMemoryInstance();
    const app = newApp();
    const begins: RequestHandler = (_req, res, next) => {
      res.type('text/event-stream');
      res.write('data: {"text":"hello"}\n\n');
      next();
    };
    app.post('/chat', begins, keep.guard({ route: '/chat' }), (_req, res) => void res.end());
    await post(app);
    expect(store.rows.size).toBe(0);
    expect(logbook.lines.map(({ level, text }) => `${level} ${text}`)).toContain(
      'warn {} lastchunk: a guard on /chat came after its response had begun, and does nothing: put keep.guard() in front of the handler',
    );
  });

  it('in front of express.json() works, because `message` is called when the answer begins', async () => {
    const { keep, store, logbook } = createInMemoryInstance();
    const app = newApp();
    const guard = keep.guard<express.Request>({
      message: (req) => ({ conversationId: (req.body as { id: string }).id }),
    });
    app.post('/chat', guard, express.json(), CHAT);
    await post(app, '/chat', { id: 'c1' });
    await keep.flush();
    expect(store.row.conversationId).toBe('c1');
    expect(logbook.errors()).toEqual([]);
  });

  it('without express.json() reports that the request has no body, and the route', async () => {
    const { keep, store, logbook } = createInMemoryInstance();
    const app = newApp();
    const guard = keep.guard<express.Request>({
      message: (req) => ({ conversationId: (req.body as { id: string }).id }),
    });
    app.post('/chat', guard, CHAT);
    await post(app, '/chat', { id: 'c1' });
    await keep.flush();
    expect(store.rows.size).toBe(1);
    const line = logbook.lines.map(({ text }) => text).join('\n');
    expect(line).toContain(
      "message() threw: Cannot read properties of undefined (reading 'id') at ",
    );
    expect(line).toContain(
      '(route /chat); the request has no `body`: put express.json() in front of the guard',
    );
  });

  it('whose messages name no conversation reports that at the tenth, once', async () => {
    const { keep, logbook } = createInMemoryInstance();
    const app = newApp();
    app.post('/chat', keep.guard(), CHAT);
    const { url } = await serve(app);
    for (let count = 0; count < 25; count += 1) {
      await (await fetch(`${url}/chat`, { method: 'POST' })).text();
    }
    await keep.flush();
    const lines = logbook.lines.filter(({ text }) => text.includes('without a conversation'));
    expect(lines.map(({ level, text }) => `${level} ${text}`)).toEqual([
      'warn {"route":"/chat"} lastchunk: ten messages without a conversation on /chat: give its guard `message: (req) => ({ conversationId })`',
    ]);
  });

  it('does not report ten such messages that are not consecutive', async () => {
    const { keep, logbook } = createInMemoryInstance();
    const app = newApp();
    let count = 0;
    const message = () =>
      (count += 1) % 5 === 0 ? { conversationId: 'c' } : { role: 'assistant' };
    app.post('/chat', keep.guard({ message }), CHAT);
    const { url } = await serve(app);
    for (let asked = 0; asked < 25; asked += 1) {
      await (await fetch(`${url}/chat`, { method: 'POST' })).text();
    }
    await keep.flush();
    expect(logbook.lines.filter(({ text }) => text.includes('ten messages'))).toEqual([]);
  });

  it('without a store logs once how to configure one', async () => {
    const logbook = createLogbook();
    const keep = lastchunk({ logger: logbook.logger });
    onTestFinished(async () => void (await keep.close()));
    keep.guard();
    keep.guard();
    expect(logbook.lines.filter(({ level }) => level === 'warn')).toEqual([
      {
        level: 'warn',
        text: '{} lastchunk: guard() saves nothing without a store: lastchunk({ store: postgres({ connectionString }) }), or use observe()',
      },
    ]);
  });

  it('of an instance that is closed answers 503 with the reason', async () => {
    const { keep, logbook } = createInMemoryInstance();
    const app = newApp();
    app.post('/chat', keep.guard(), CHAT);
    await keep.close();
    expect(await post(app)).toMatchObject({ status: 503 });
    expect(logbook.lines.filter(({ level }) => level === 'warn')).toEqual([
      {
        level: 'warn',
        text: '{} lastchunk: a request came to a guard after keep.close(), and is answered with 503: a closed instance stays closed, make a new one with lastchunk()',
      },
    ]);
  });
});
