/** What is the Fetch API's own: headers, bodies that are none, and a handler that asks for its stream. */
import type { ServerResponse } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import { fetchGuard, fetchHandler, type FetchHandler } from '../../src/frameworks/fetch.ts';
import { lastchunk } from '../../src/index.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createRecordingObserver } from '../support/recording-observer.ts';

const EVENTS = { 'content-type': 'text/event-stream' };

function open() {
  const store = createMemoryStore();
  const recorded = createRecordingObserver();
  const keep = lastchunk({ store, journal: false, observer: recorded.observer });
  onTestFinished(async () => {
    await keep.close({ deadlineMs: 1000 });
  });
  const guard = fetchGuard(keep, { route: '/chat/:id', policy: { disconnected: 'keep' } });
  const ask = (handler: FetchHandler, init?: RequestInit): Promise<Response> =>
    guard(new Request('http://localhost/chat/7?x=1', init), handler);
  return { store, recorded, keep, ask };
}

it('keeps status, headers and cookies, and adds the two headers of lastchunk', async () => {
  const { store, ask } = open();
  const headers = new Headers({ ...EVENTS, 'x-model': 'small' });
  headers.append('set-cookie', 'a=1');
  headers.append('set-cookie', 'b=2');
  const response = await ask(() => new Response('data: hi\n\n', { status: 201, headers }));
  expect(response.status).toBe(201);
  expect(response.headers.get('x-model')).toBe('small');
  expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  expect(await response.text()).toBe('data: hi\n\n');
  expect(response.headers.get('x-message-id')).toBe(store.row.id);
});

it.each([
  ['no body', () => new Response(null, { status: 204 }), {}],
  ['a request by HEAD', () => new Response(null, { headers: EVENTS }), { method: 'HEAD' }],
  ['JSON', () => Response.json({ ok: true }), {}],
  ['an error', () => new Response('data: no\n\n', { status: 502, headers: EVENTS }), {}],
])('passes %s through and counts no stream', async (_what, answer, init) => {
  const { recorded, ask } = open();
  const plain = await answer().text();
  const response = await ask(answer, init);
  expect(response.status).toBe(answer().status);
  expect(await response.text()).toBe(plain);
  await nextTurn();
  expect(recorded.starts).toBe(0);
});

it('gives the handler its stream, whose signal aborts when the reader cancels', async () => {
  const { store, recorded, ask } = open();
  let aborted: Promise<void> | undefined;
  const response = await ask((_request, stream) => {
    aborted = new Promise((resolve) => {
      stream.signal.addEventListener('abort', () => resolve());
    });
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(Buffer.from('data: one\n\n')),
    });
    return new Response(body, { headers: EVENTS });
  });
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  await aborted;
  expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
  expect(store.row).toMatchObject({ text: 'one', complete: false });
});

it('counts an abort of the request signal as the client leaving', async () => {
  const { recorded, ask } = open();
  const client = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(Buffer.from('data: one\n\n')),
  });
  const init = { signal: client.signal };
  const response = await ask(() => new Response(body, { headers: EVENTS }), init);
  await response.body?.getReader().read();
  client.abort();
  expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
});

it('stops reading the source while the reader takes nothing', async () => {
  const { ask } = open();
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled += 1;
      controller.enqueue(Buffer.from(`data: ${'x'.repeat(10_000)}\n\n`));
    },
  });
  const response = await ask(() => new Response(body, { headers: EVENTS }));
  for (let turn = 0; turn < 200; turn += 1) await nextTurn();
  const before = pulled;
  expect(before).toBeLessThan(20);
  for (let turn = 0; turn < 200; turn += 1) await nextTurn();
  expect(pulled).toBe(before);
  await response.body?.cancel();
});

it('passes on what the handler throws, and counts no stream', async () => {
  const { recorded, ask, keep } = open();
  const thrown = new Error('no model');
  await expect(ask(() => Promise.reject(thrown))).rejects.toBe(thrown);
  await nextTurn();
  expect(recorded.starts).toBe(0);
  expect(keep.health().status).toBe('healthy');
});

it('refuses invalid options when it is created', () => {
  const { keep } = open();
  // As JavaScript would call it.
  const wrong = { maxBytes: -1 };
  expect(() => fetchGuard(keep, wrong)).toThrow(/`maxBytes`/);
});

it.each([
  ['rejects', () => Promise.reject(new Error('no answer')), 'no answer'],
  [
    'closes its response',
    (_req: unknown, res: ServerResponse) => res.destroy(),
    'before it had begun',
  ],
])(
  'a handler that %s before its answer rejects the pending request',
  async (_what, handler, says) => {
    await expect(fetchHandler(handler)(new Request('http://localhost/health'))).rejects.toThrow(
      says,
    );
  },
);
