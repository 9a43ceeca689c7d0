/** Every handler, unchanged under the guard: what is stored is what the model said, however the stream ends. */
import express, { type Response } from 'express';
import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../src/index.ts';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import { serve } from '../support/test-server.ts';
import { createUpstream } from '../support/upstream.ts';
import { until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';
import { ANSWER, HANDLERS, type ChatHandler } from './handlers.ts';

const SEEN = 'The answer ';
const WHOLE = ANSWER.join('');

describe.each(HANDLERS)('$name', (handler) => {
  it('completes: the whole answer is kept', async () => {
    const { instance, client, model } = await open(handler);
    model.say(...ANSWER.slice(2));
    model.finish();
    await client.over();
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(instance.store.row).toMatchObject({ text: WHOLE, complete: true });
    expect(client.reply?.whole).toBe(true);
  });

  it('its client leaves under finish: the whole answer is kept', async () => {
    const { instance, client, model } = await open(handler);
    client.rst();
    await until('the guard has noticed', () => instance.recorded.finishing.length > 0);
    model.say(...ANSWER.slice(2));
    model.finish();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
    });
    expect(instance.store.row).toMatchObject({ text: WHOLE, complete: true });
  });

  it('its client leaves under keep: what was sent until then is kept', async () => {
    const { instance, client, model } = await open(handler, { policy: { disconnected: 'keep' } });
    client.fin();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
    });
    expect(instance.store.row).toMatchObject({ text: SEEN, complete: false });
    if (handler.cancels === true) await until('the provider is let go', () => model.aborted);
  });

  it('is stopped: what was sent until then is kept', async () => {
    const { instance, testServer, response } = await open(handler);
    const id = instance.keep.stream(response())?.id;
    expect((await fetch(`${testServer.url}/streams/${id}`, { method: 'DELETE' })).status).toBe(200);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped', side: 'client' });
    expect(instance.store.row).toMatchObject({ text: SEEN, complete: false });
  });

  it(`loses its provider: ${handler.onCut}, and what was sent until then is kept`, async () => {
    const { instance, model } = await open(handler, { idleTimeoutMs: 500 });
    model.cut();
    expect(await instance.recorded.ended()).toMatchObject({ outcome: handler.onCut });
    expect(instance.store.row).toMatchObject({ text: SEEN, complete: false });
  });
});

/** A client that has read the first half of an answer. */
async function open(handler: ChatHandler, options: GuardOptions = {}) {
  const instance = createInMemoryInstance();
  const upstream = await createUpstream(handler.api);
  const app = express().set('env', 'test');
  if (handler.before !== undefined) app.use(handler.before());
  const answer = handler.make(upstream.baseURL);
  const responses: Response[] = [];
  app.post('/chat/:id', instance.keep.guard(options), (req, res) => {
    responses.push(res);
    return answer(req, res);
  });
  app.delete('/streams/:streamId', instance.keep.stopHandler({ authorize: () => true }));
  app.use(instance.keep.errorHandler());
  const testServer = await serve(app);
  const client = await openClient(testServer, '/chat/42', { method: 'POST' });
  const model = await upstream.call();
  model.say(...ANSWER.slice(0, 2));
  await client.sees('answer');
  const response = (): Response => {
    const [first] = responses;
    if (first === undefined) throw new Error('the route was not called');
    return first;
  };
  return { instance, testServer, client, model, response };
}
