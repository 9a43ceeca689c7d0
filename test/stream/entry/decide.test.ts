/** Answers of a guarded route that are no streams: whole answers are kept, all others are told. */
import express from 'express';
import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../../src/index.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';

const WHOLE: Readonly<Record<string, object>> = {
  'an OpenAI chat completion': {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'gpt-5',
    choices: [
      { index: 0, message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  },
  'an OpenAI response': {
    id: 'resp_1',
    object: 'response',
    status: 'completed',
    output: [
      {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_text', text: 'hello', annotations: [] }],
      },
    ],
  },
  'an Anthropic message': {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude',
    content: [{ type: 'text', text: 'hello' }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 1, output_tokens: 1 },
  },
  'a Gemini response': {
    candidates: [
      { content: { role: 'model', parts: [{ text: 'hello' }] }, finishReason: 'STOP', index: 0 },
    ],
    modelVersion: 'gemini-3',
  },
};

describe('a whole answer in one JSON body', () => {
  it.each(Object.keys(WHOLE))('is saved like a stream of one chunk: %s', async (name) => {
    const { keep, store, recorded } = createInMemoryInstance();
    const app = express();
    app.get('/chat', keep.guard(), (_, res) => void res.json(WHOLE[name]));
    const client = await openClient(await serve(app), '/chat');
    const { body, headers } = await client.over();
    const ended = await recorded.ended();
    expect(ended).toMatchObject({ outcome: 'completed', chunks: 1, save: 'saved' });
    expect(JSON.parse(body.toString())).toEqual(WHOLE[name]);
    expect(headers['x-stream-id']).toBe(ended.id);
    expect(store.row).toMatchObject({ text: 'hello', complete: true });
    expect(recorded.unrecognised).toEqual([]);
  });

  it.each(Object.keys(WHOLE))('is saved if it comes in several chunks: %s', async (name) => {
    const { keep, store, recorded } = createInMemoryInstance();
    const answer = JSON.stringify({ ...WHOLE[name], x: 'x'.repeat(2_000) });
    const pieces = answer.match(/[^]{1,500}/g) ?? [];
    const app = express();
    app.get('/chat', keep.guard(), async (_, res) => {
      res.type('json');
      for (const piece of pieces) {
        res.write(piece);
        await new Promise(setImmediate);
      }
      res.end();
    });
    const client = await openClient(await serve(app), '/chat');
    const { body, headers } = await client.over();
    const ended = await recorded.ended();
    expect(ended).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(body.toString()).toBe(answer);
    expect(headers['x-stream-id']).toBe(ended.id);
    expect(store.row).toMatchObject({ text: 'hello', complete: true });
  });

  it('is truncated if its last chunks do not come', async () => {
    const { keep, store, recorded } = createInMemoryInstance();
    const answer = JSON.stringify(WHOLE['an OpenAI chat completion']);
    const app = express();
    app.get('/chat', keep.guard(), (_, res) => {
      res.type('json').write(answer.slice(0, -20));
      res.end();
    });
    await (await openClient(await serve(app), '/chat')).over();
    await recorded.ended();
    expect(store.row).toMatchObject({ complete: false });
    expect(JSON.stringify(store.row?.events)).toContain('hello');
  });

  it.each([
    [
      'of which the first shows no vendor',
      ['{', JSON.stringify(WHOLE['a Gemini response']).slice(1)],
    ],
    ['that are not an answer', ['{"object":"list",', '"data":[]}']],
  ])('is not recognised in chunks %s, and this is counted', async (_name, pieces) => {
    const { keep, store, recorded } = createInMemoryInstance();
    const app = express();
    app.get('/chat', keep.guard(), (_, res) => {
      res.type('json');
      for (const piece of pieces) res.write(piece);
      res.end();
    });
    await (await openClient(await serve(app), '/chat')).over();
    expect(recorded.unrecognised).toEqual(['application/json']);
    expect(store.asked).toEqual([]);
  });

  it('is saved after writeHead(), and if it is sent as bytes', async () => {
    const { keep, store, recorded } = createInMemoryInstance();
    const answer = Buffer.from(JSON.stringify(WHOLE['an OpenAI chat completion']));
    const testServer = await serve((req, res) => {
      void keep.guard({}, () => {
        res.writeHead(200, { 'content-type': 'application/json; charset=utf-8' });
        res.end(answer);
      })(req, res);
    });
    await (await openClient(testServer, '/')).over();
    await recorded.ended();
    expect(store.row).toMatchObject({ text: 'hello', complete: true });
  });

  it('is not saved under observe(), nor with an error status', async () => {
    const { keep, store, recorded } = createInMemoryInstance();
    const app = express();
    const send: express.RequestHandler = (req, res) =>
      void res.status(req.path === '/fails' ? 502 : 200).json(WHOLE['an Anthropic message']);
    app.get('/observed', keep.observe(), send);
    app.get('/fails', keep.guard(), send);
    const testServer = await serve(app);
    for (const path of ['/observed', '/fails']) await (await openClient(testServer, path)).over();
    await keep.close({ deadlineMs: 100 });
    expect(recorded.starts).toBe(0);
    expect(recorded.unrecognised).toEqual([]);
    expect(store.asked).toEqual([]);
  });
});

describe('an answer of a guarded route that is not recognised as a stream', () => {
  it('is counted each time, and logged once for its route', async () => {
    const { keep, recorded, logbook } = createInMemoryInstance();
    const app = express();
    app.get('/chat/:id', keep.guard(), (req, res) => {
      if (req.params.id === 'json') res.json({ candidates: ['Ann', 'Bob'] });
      else res.type('html').send('<p>hello</p>');
    });
    const testServer = await serve(app);
    for (const id of ['html', 'json', 'html']) {
      await (await openClient(testServer, `/chat/${id}`)).over();
    }
    expect(recorded.unrecognised).toEqual(['text/html', 'application/json', 'text/html']);
    const told = logbook.lines.filter(({ level }) => level === 'warn');
    expect(told).toHaveLength(1);
    expect(told[0]?.text).toMatch(/\/chat\/:id \(text\/html\).*`stream: true`/);
  });

  const NOTHING: readonly [string, GuardOptions, express.RequestHandler, string?][] = [
    ['an error', {}, (_, res) => void res.status(404).json({ error: 'no' })],
    ['a redirect', {}, (_, res) => res.redirect('/')],
    ['no content', {}, (_, res) => void res.sendStatus(204)],
    ['an empty body', {}, (_, res) => void res.status(202).end()],
    ['a HEAD', {}, (_, res) => void res.json({ a: 1 }), 'HEAD'],
    [
      'an answer for which stream() returns false',
      { stream: () => false },
      (_, res) => void res.json({ a: 1 }),
    ],
  ];

  it.each(NOTHING)(
    'is not counted or logged if it is %s',
    async (_, options, handler, method = 'GET') => {
      const { keep, recorded, logbook } = createInMemoryInstance();
      const app = express();
      app.get('/', keep.guard(options), handler);
      const asking = { method, headers: { connection: 'close' } };
      await (await openClient(await serve(app), '/', asking)).over();
      expect(recorded.unrecognised).toEqual([]);
      expect(logbook.lines.filter(({ text }) => !text.includes('"event":"start"'))).toEqual([]);
    },
  );

  it('is not counted under observe()', async () => {
    const { keep, recorded } = createInMemoryInstance();
    const app = express();
    app.get('/', keep.observe(), (__, res) => void res.json({ a: 1 }));
    await (await openClient(await serve(app), '/')).over();
    expect(recorded.unrecognised).toEqual([]);
  });
});
