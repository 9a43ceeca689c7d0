/** Answers of a guarded route that are not taken for a stream are told. */
import express from 'express';
import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../../src/index.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';

describe('an answer of a guarded route that is not taken for a stream', () => {
  it('is counted each time, and told once for its route', async () => {
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
    ['what the app says is none', { stream: () => false }, (_, res) => void res.json({ a: 1 })],
  ];

  it.each(NOTHING)('is not told: %s', async (_, options, handler, method = 'GET') => {
    const { keep, recorded, logbook } = createInMemoryInstance();
    const app = express();
    app.get('/', keep.guard(options), handler);
    const asking = { method, headers: { connection: 'close' } };
    await (await openClient(await serve(app), '/', asking)).over();
    expect(recorded.unrecognised).toEqual([]);
    expect(logbook.lines).toEqual([]);
  });

  it('is not told under observe()', async () => {
    const { keep, recorded } = createInMemoryInstance();
    const app = express();
    app.get('/', keep.observe(), (__, res) => void res.json({ a: 1 }));
    await (await openClient(await serve(app), '/')).over();
    expect(recorded.unrecognised).toEqual([]);
  });
});
