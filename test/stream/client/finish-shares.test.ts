/** One client that opens streams and leaves them does not use up what others need to have their answers finished. */
import express from 'express';
import { describe, expect, it } from 'vitest';
import type { AppRequest, GuardOptions } from '../../../src/index.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve, type TestServer } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';

const OPENED_BY_ONE = 2_000;
const OTHERS = 20;

/** A guarded answer that goes on when the gate opens; whose it is, the client says by `X-Forwarded-For`. */
async function serveAnswers(trustProxy: boolean, finish: GuardOptions['finish']) {
  const instance = createInMemoryInstance();
  const go = createGate();
  const app = express();
  if (trustProxy) app.set('trust proxy', 'loopback');
  const message = ({ url = '' }: AppRequest) => ({ conversationId: url });
  const options: GuardOptions = { message, ...(finish && { finish }) };
  app.get('/:whose', instance.keep.guard(options), (_req, res) => {
    res.type('text/plain').write('one ');
    void go.promise.then(() => res.end('and the rest'));
  });
  const server = await serve(app);
  const complete = (whose: string): number =>
    [...instance.store.rows.values()].filter(
      ({ conversationId, complete: isWhole }) => conversationId === `/${whose}` && isWhole,
    ).length;
  return { instance, go, server, complete };
}

/** Opens `count` answers, and leaves each when it has seen its beginning. */
async function openAndLeave(server: TestServer, count: number, whose: string): Promise<void> {
  const closed = server.closedSockets;
  for (let opened = 0; opened < count; opened += 50) {
    const some = Array.from({ length: Math.min(50, count - opened) }, async (_, index) => {
      const address = whose === 'one' ? '192.0.2.1' : `198.51.100.${opened + index}`;
      const headers = { 'x-forwarded-for': address };
      const client = await openClient(server, `/${whose}`, { headers });
      await client.sees('one ');
      client.rst();
    });
    await Promise.all(some);
  }
  await until('the server has met the closes', () => server.closedSockets === closed + count);
}

describe('one client that opens and leaves 2 000 streams', () => {
  it.each<[string, boolean, GuardOptions['finish']]>([
    ['its address, if Express trusts its proxy', true, undefined],
    [
      'the value of `finish.key`',
      false,
      { key: (req) => String(req.headers['x-forwarded-for']), maxConcurrentPerKey: 100 },
    ],
  ])(
    'does not cut the answers of others; identified by %s',
    async (_, trustProxy, finish) => {
      const { instance, go, server, complete } = await serveAnswers(trustProxy, finish);
      await openAndLeave(server, OPENED_BY_ONE, 'one');
      await openAndLeave(server, OTHERS, 'other');
      go.open();
      await instance.recorded.ended(OPENED_BY_ONE + OTHERS);
      expect([complete('other'), complete('one')]).toEqual([OTHERS, 100]);
      expect(new Set(instance.recorded.refusals)).toEqual(new Set(['per-key']));
      expect(instance.recorded.refusals).toHaveLength(OPENED_BY_ONE - 100);
      expect(instance.store.rows.size).toBe(OPENED_BY_ONE + OTHERS);
    },
    60_000,
  );
});

describe('a share of the finishing budget', () => {
  it('does not exist if Express trusts no proxy: all clients would have one address', async () => {
    const { instance, go, server, complete } = await serveAnswers(false, { maxConcurrent: 10 });
    await openAndLeave(server, 10, 'one');
    await openAndLeave(server, 2, 'other');
    go.open();
    await instance.recorded.ended(12);
    expect([complete('one'), complete('other')]).toEqual([10, 0]);
    expect(instance.recorded.refusals).toEqual(['concurrent', 'concurrent']);
  });

  it('is returned when an answer is finished', async () => {
    const { instance, go, server, complete } = await serveAnswers(true, { maxConcurrent: 10 });
    await openAndLeave(server, 1, 'one');
    go.open();
    await instance.recorded.ended(1);
    await openAndLeave(server, 1, 'one');
    await instance.recorded.ended(2);
    expect(complete('one')).toBe(2);
    expect(instance.recorded.refusals).toEqual([]);
  });

  it.each<[string, (req: unknown) => string | undefined]>([
    [
      'throws',
      () => {
        throw new Error('no session');
      },
    ],
    ['returns a number', () => 7 as unknown as string],
  ])('does not exist if `finish.key` %s, which is logged once', async (_, key) => {
    const finish = { maxConcurrent: 10, maxConcurrentPerKey: 1, key };
    const { instance, go, server, complete } = await serveAnswers(true, finish);
    await openAndLeave(server, 3, 'one');
    go.open();
    await instance.recorded.ended(3);
    expect(complete('one')).toBe(3);
    const said = instance.logbook.lines.filter(({ text }) => text.includes('finish.key'));
    expect(said).toHaveLength(1);
  });
});
