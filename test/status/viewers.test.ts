/** Viewers that take nothing, on real sockets with a clock of the test's own. */
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Viewers } from '../../src/status/viewers.ts';
import { openClient } from '../support/http-client.ts';
import { serve } from '../support/test-server.ts';
import { turns, until } from '../support/until.ts';

const MEGABYTES = 8_000_000;

beforeEach(
  () => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }),
);
afterEach(() => void vi.useRealTimers());

async function open(read: () => string, highWaterMark?: number) {
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  const isClosing = (): boolean => false;
  const viewers = new Viewers({ maxViewers: 2, read, isClosing, onError });
  const responses: ServerResponse[] = [];
  const answer = (_req: unknown, res: ServerResponse): void => {
    responses.push(res);
    viewers.add(res);
  };
  const server = await serve(answer, 'http', highWaterMark === undefined ? {} : { highWaterMark });
  const client = await openClient(server, '/');
  const res = await until('it is asked', () => responses[0]);
  return { viewers, client, res, errors };
}

/** So many seconds pass, one by one. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    vi.advanceTimersByTime(1_000);
    await turns();
  }
}

it('a viewer that reads nothing has one state buffered, and is dropped after half a minute', async () => {
  const { viewers, client, res } = await open(() => 'x'.repeat(MEGABYTES));
  client.pause();
  await until('its connection is full', () => res.writableNeedDrain);
  await pass(20);
  expect(res.writableLength).toBeLessThan(2 * MEGABYTES);
  expect(res.destroyed).toBe(false);
  await pass(20);
  expect(res.destroyed).toBe(true);
  expect(viewers.hasRoom).toBe(true);
});

it('a viewer that was slow for a while then gets the newest state', async () => {
  let state = 'x'.repeat(MEGABYTES);
  const { client, res } = await open(() => state);
  client.pause();
  await until('its connection is full', () => res.writableNeedDrain);
  await pass(5);
  state = 'news';
  client.resume();
  await until('it has taken all', () => !res.writableNeedDrain);
  await pass(1);
  await client.sees('news');
  expect(client.text.match(/data: /g)).toHaveLength(2);
});

it('without a viewer nothing is read', async () => {
  let readings = 0;
  const { client, res } = await open(() => String((readings += 1)));
  await client.sees('data: 1');
  await pass(2);
  await client.sees('data: 3');
  client.fin();
  await until('it has left', () => res.destroyed);
  await pass(3);
  expect([readings, vi.getTimerCount()]).toEqual([3, 0]);
});

it('a viewer is disconnected after five minutes, so that it is authorized again', async () => {
  const { client } = await open(() => 'state');
  await pass(299);
  expect(client.reply?.whole).toBe(false);
  await pass(2);
  expect((await client.over()).whole).toBe(true);
});

it('a viewer that does not read its end after five minutes is dropped', async () => {
  let state = 'x'.repeat(MEGABYTES);
  const { client, res } = await open(() => state, 2 * MEGABYTES);
  client.pause();
  state = 'news';
  await pass(301);
  expect([res.writableEnded, res.writableFinished, res.destroyed]).toEqual([true, false, false]);
  await pass(20);
  expect([res.errored, res.destroyed]).toEqual([null, false]);
  await pass(20);
  expect(res.destroyed).toBe(true);
});

it('viewers are ended, and the process continues, if reading the state fails', async () => {
  let readings = 0;
  const { client, errors } = await open(() => {
    readings += 1;
    if (readings > 1) throw new Error('a pool of the app');
    return 'state';
  });
  await pass(1);
  expect((await client.over()).whole).toBe(true);
  expect(errors).toEqual([new Error('a pool of the app')]);
});
