/** Every handler, unchanged under the guard: what is stored is what the model said, however the stream ends. */
import express, { type Response } from 'express';
import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../src/index.ts';
import { createKept } from '../support/kept.ts';
import { serve } from '../support/site.ts';
import { createUpstream } from '../support/upstream.ts';
import { until } from '../support/until.ts';
import { visit } from '../support/visitor.ts';
import { ANSWER, HANDLERS, type ChatHandler } from './handlers.ts';

const SEEN = 'The answer ';
const WHOLE = ANSWER.join('');

describe.each(HANDLERS)('$name', (handler) => {
  it('completes: the whole answer', async () => {
    const { kept, client, model } = await open(handler);
    model.say(...ANSWER.slice(2));
    model.finish();
    await client.over();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(kept.store.row).toMatchObject({ text: WHOLE, complete: true });
    expect(client.reply?.whole).toBe(true);
  });

  it('its client leaves, under finish: the whole answer', async () => {
    const { kept, client, model } = await open(handler);
    client.rst();
    await until('the guard has noticed', () => kept.witness.finishing.length > 0);
    model.say(...ANSWER.slice(2));
    model.finish();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    expect(kept.store.row).toMatchObject({ text: WHOLE, complete: true });
  });

  it('its client leaves, under keep: what was said until then', async () => {
    const { kept, client, model } = await open(handler, { policy: { disconnected: 'keep' } });
    client.fin();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    expect(kept.store.row).toMatchObject({ text: SEEN, complete: false });
    if (handler.cancels === true) await until('the provider is let go', () => model.aborted);
  });

  it('is stopped: what was said until then', async () => {
    const { kept, site, response } = await open(handler);
    const id = kept.keep.stream(response())?.id;
    expect((await fetch(`${site.url}/streams/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'stopped', side: 'client' });
    expect(kept.store.row).toMatchObject({ text: SEEN, complete: false });
  });

  it(`loses its provider: ${handler.onCut}, and what was said until then`, async () => {
    const { kept, model } = await open(handler, { idleTimeoutMs: 500 });
    model.cut();
    expect(await kept.witness.ended()).toMatchObject({ outcome: handler.onCut });
    expect(kept.store.row).toMatchObject({ text: SEEN, complete: false });
  });
});

/** A client that has read the first half of an answer. */
async function open(handler: ChatHandler, options: GuardOptions = {}) {
  const kept = createKept();
  const upstream = await createUpstream(handler.api);
  const app = express().set('env', 'test');
  if (handler.before !== undefined) app.use(handler.before());
  const answer = handler.make(upstream.baseURL);
  const responses: Response[] = [];
  app.post('/chat/:id', kept.keep.guard(options), (req, res) => {
    responses.push(res);
    return answer(req, res);
  });
  app.delete('/streams/:streamId', kept.keep.stopHandler({ authorize: () => true }));
  app.use(kept.keep.errorHandler());
  const site = await serve(app);
  const client = await visit(site, '/chat/42', { method: 'POST' });
  const model = await upstream.call();
  model.say(...ANSWER.slice(0, 2));
  await client.sees('answer');
  const response = (): Response => {
    const [first] = responses;
    if (first === undefined) throw new Error('the route was not called');
    return first;
  };
  return { kept, site, client, model, response };
}
