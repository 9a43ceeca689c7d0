/** The store that an app's own tests use. */
import { existsSync } from 'node:fs';
import express from 'express';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { lastchunk } from '../src/index.ts';
import { memoryStore } from '../src/testing.ts';
import { aMessage } from './postgres/messages.ts';
import { serve } from './support/test-server.ts';

describe('memoryStore()', () => {
  it('keeps the best version of each message, in the order of their first saves', async () => {
    const store = memoryStore();
    const first = { id: 'a', streamId: 's' };
    await store.save([aMessage({ ...first, text: 'part', complete: false })]);
    await store.save([aMessage({ id: 'b', text: 'second' })]);
    await store.save([aMessage({ ...first, text: 'whole' })]);
    await store.save([aMessage({ ...first, text: 'a longer part', complete: false })]);
    expect(store.messages.map(({ id, text }) => [id, text])).toEqual([
      ['a', 'whole'],
      ['b', 'second'],
    ]);
  });

  it('keeps two streams with the same message id as two messages', async () => {
    const store = memoryStore();
    await store.save([aMessage({ id: 'a', streamId: 's', text: 'one' })]);
    await store.save([aMessage({ id: 'a', streamId: 't', text: 'two' })]);
    expect(store.messages.map(({ id, text }) => [id, text])).toEqual([
      ['a', 'one'],
      ['t', 'two'],
    ]);
  });

  it('returns the messages of one conversation, rejects after failWith(), and works again after clear()', async () => {
    const store = memoryStore();
    await store.save([aMessage({ conversationId: 'c' }), aMessage({ conversationId: 'd' })]);
    expect(store.of('c')).toHaveLength(1);
    store.failWith(new Error('away'));
    await expect(store.save([aMessage()])).rejects.toThrow('away');
    store.clear();
    await store.save([aMessage()]);
    expect(store.messages).toHaveLength(1);
  });

  it('implies that there is no journal, and has the message once the response is over', async () => {
    vi.spyOn(console, 'error').mockImplementation(() => {});
    onTestFinished(() => void vi.restoreAllMocks());
    const store = memoryStore();
    const keep = lastchunk({ store });
    onTestFinished(async () => void (await keep.close()));
    const app = express();
    const guard = keep.guard({ message: (req) => ({ conversationId: req.params['id'] }) });
    app.post('/chat/:id', guard, (_req, res) => {
      res.type('text/event-stream');
      res.end('data: {"text":"hello"}\n\ndata: [DONE]\n\n');
    });
    const { url } = await serve(app);
    await (await fetch(`${url}/chat/c1`, { method: 'POST' })).text();
    expect(store.of('c1')).toMatchObject([{ text: 'hello', complete: true }]);
    expect(keep.health().journal).toBeUndefined();
    expect(existsSync('.lastchunk')).toBe(false);
  });
});
