/** A feed that never ends: under a guard, too, it is over for its handler when its client has left. */
import type { Response } from 'express';
import express from 'express';
import { describe, expect, it } from 'vitest';
import { lastchunk } from '../../../src/index.ts';
import { chatChunk } from '../../support/frames.ts';
import { openClient } from '../../support/http-client.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { createRecordingObserver } from '../../support/recording-observer.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';

/** A route that has written `first`, and whose client leaves; what its handler does then is the test's. */
async function left(first: readonly string[], method = 'GET') {
  const store = createMemoryStore();
  const recorded = createRecordingObserver();
  const keep = lastchunk({ store, journal: false, logger: false, observer: recorded.observer });
  const app = express();
  let res: Response | undefined;
  let closed = false;
  app.all('/feed', keep.guard(), (_req, response) => {
    res = response;
    response.on('close', () => (closed = true));
    response.type('text/event-stream').flushHeaders();
    for (const frame of first) response.write(frame);
  });
  const client = await openClient(await serve(app), '/feed', { method });
  const last = first.at(-1);
  if (last === undefined) await until('the head is there', () => client.reply);
  else await client.sees(last.trim());
  client.rst();
  await until('its leaving is seen', () => closed || recorded.finishing.length > 0);
  return { store, recorded, keep, goOn: () => res, isClosed: () => closed };
}

describe('an event stream that answers GET and has sent no text', () => {
  it.each([
    ['nothing yet', [': open\n\n']],
    ['comments', [': ping\n\n', ': ping\n\n']],
    ['events of the app', ['event: changed\ndata: {"id":7}\n\n']],
    ['JSON-RPC', ['data: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n']],
  ])('ends when its client leaves: %s', async (_what, first) => {
    const { recorded, isClosed } = await left(first);
    expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected' });
    await until('the handler hears of it', isClosed);
    expect(recorded.finishing).toEqual([]);
  });
});

it('an event stream that has sent nothing at all ends too', async () => {
  const { isClosed, recorded } = await left([]);
  await until('the handler hears of it', isClosed);
  expect(recorded.finishing).toEqual([]);
});

describe('an answer continues without its client', () => {
  it.each([
    ['text', [chatChunk({ content: 'hello' })]],
    ['the first chunk of a model', [chatChunk({ role: 'assistant' })]],
    ['text of an app', ['data: hello\n\n']],
    [
      'thinking',
      [
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}\n\n',
      ],
    ],
  ])('if it answers GET and has sent %s', async (_what, first) => {
    const { recorded, goOn } = await left(first);
    await until('it goes on', () => recorded.finishing[0] === true);
    goOn()?.end();
    expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected' });
  });

  it('if it answers POST and has sent nothing yet', async () => {
    const { recorded, goOn, store } = await left([': open\n\n'], 'POST');
    expect(recorded.finishing).toEqual([true]);
    goOn()?.end(chatChunk({ content: 'late' }) + chatChunk({}, 'stop'));
    await recorded.ended();
    expect(store.row.text).toBe('late');
  });
});
