/** Where a stream goes when two things end it in an unusual order: it is reported once, and its message is kept. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { expect, it } from 'vitest';
import { streamOf } from '../../../src/stream/entry/attach.ts';
import { step } from '../../../src/stream/lifecycle/effects.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance, type InMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';

type Act = (req: IncomingMessage, res: ServerResponse, instance: InMemoryInstance) => unknown;

it('the message of a stream that is stopped, then left, then interrupted is kept', async () => {
  const { instance, httpClient } = await open({}, (_, res) => {
    res.write('one ');
  });
  await httpClient.sees('one ');
  instance.stop();
  expect(instance.recorded.phases.at(-1)).toBe('grace');
  httpClient.fin();
  await until('its client is missed', () => instance.recorded.phases.at(-1) === 'grace-gone');
  expect(await instance.keep.close({ deadlineMs: 20 })).toMatchObject({ saved: 1, lost: 0 });
  expect(instance.store.row).toMatchObject({ text: 'one ', complete: false, outcome: 'stopped' });
  expect(instance.recorded.ends).toHaveLength(1);
});

it('no stream begins on a connection that this process has closed before', async () => {
  const done = createGate();
  const { instance } = await open({}, async (req, res, { recorded }) => {
    req.socket.destroy();
    await until('that is met', () => recorded.phases.includes('over'));
    res.write('one ');
    res.end('two');
    done.open();
  });
  await done.promise;
  await turns();
  expect([instance.recorded.starts, instance.recorded.ends.length]).toEqual([0, 0]);
  expect(instance.recorded.internalErrors).toEqual([]);
});

it('a stream that begins after the finishing budget is spent is reported', async () => {
  const go = createGate();
  const { instance, httpClient } = await open({ finish: { timeoutMs: 1_000 } }, async (_, res) => {
    await go.promise;
    res.write('one ');
    res.end('two');
  });
  await until('it is asked', () => instance.answer());
  httpClient.fin();
  await until('its time is over', () => instance.recorded.refusals.length > 0);
  expect(instance.recorded.phases.at(-1)).toBe('undecided-gone');
  go.open();
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'disconnected', save: 'empty' });
  expect(instance.recorded.starts).toBe(1);
  await turns();
  expect(instance.recorded.ends).toHaveLength(1);
});

it('a client that reads nothing of a stopped answer is closed, even if the handler ends the answer late', async () => {
  const { instance, httpClient, testServer } = await open({ stallTimeoutMs: 4_000 }, (_, res) => {
    res.write('x'.repeat(32 * 1024 * 1024));
  });
  await httpClient.sees('x');
  httpClient.pause();
  instance.stop();
  await until('its time to end is over', () => instance.recorded.phases.at(-1) === 'closed');
  instance.answer()?.end();
  expect(testServer.closedSockets).toBe(0);
  await until('its connection is closed', () => testServer.closedSockets === 1);
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped' });
  expect(instance.recorded.ends).toHaveLength(1);
});

it('an impossible event is counted, and changes nothing', async () => {
  const { instance, httpClient } = await open({}, (_, res) => {
    res.write('one ');
    const stream = streamOf(res);
    expect(stream && step(stream, 'marker')).toBe(false);
    expect(stream?.phase.name).toBe('open');
    res.end('two');
  });
  expect((await httpClient.over()).body.toString()).toBe('one two');
  expect(instance.recorded.internalErrors).toMatchObject([
    { where: 'stream', error: { name: 'ImpossibleEvent' } },
  ]);
  expect(instance.store.row).toMatchObject({ text: 'one two', outcome: 'completed' });
});

/** A guarded plain-text answer, asked for. */
async function open(
  options: { finish?: { timeoutMs: number }; stallTimeoutMs?: number },
  act: Act,
) {
  const instance = createInMemoryInstance();
  let given: ServerResponse | undefined;
  const guard = instance.keep.guard(options, (req: IncomingMessage, res) => {
    given = res;
    res.setHeader('content-type', 'text/plain');
    return act(req, res, instance);
  });
  const testServer = await serve((req, res) => void guard(req, res));
  const httpClient = await openClient(testServer, '/');
  const answer = (): ServerResponse | undefined => given;
  const stop = (): unknown => given && instance.keep.stream(given)?.stop();
  return { instance: { ...instance, answer, stop }, httpClient, testServer };
}
