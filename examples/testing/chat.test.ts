import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { memoryStore } from 'lastchunk/testing';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { createApp } from './app.ts';

const store = memoryStore();
const { app, keep } = createApp(store);
const server = createServer(app).listen(0);

beforeEach(() => store.clear());
afterAll(async () => {
  server.close();
  await keep.close();
});

it('keeps the answer', async () => {
  if (!server.listening) await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const response = await fetch(`http://localhost:${port}/chat/42`, { method: 'POST' });
  await response.text();
  await keep.flush();
  expect(store.of('42')).toMatchObject([{ text: 'hello', complete: true }]);
});
