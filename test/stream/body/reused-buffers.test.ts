/**
 * A handler that uses its buffer again as soon as the tick is over in which it was written: over HTTP/1 Node has sent the bytes by
 * then, so what waits longer is a copy.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';

const ROUNDS = ['<1>', '<2>', '<3>'];

/** Writes in tick after tick of one turn, out of one buffer that is full of other bytes between two of them. */
async function writeInTicks(res: ServerResponse): Promise<void> {
  const shared = Buffer.alloc(3);
  for (const mark of ROUNDS) {
    shared.write(mark);
    res.write(shared);
    await new Promise<void>((resolve) => process.nextTick(() => process.nextTick(resolve)));
    shared.fill('#');
  }
}

async function begin(act: (res: ServerResponse) => void) {
  const path = mkdtempSync(join(tmpdir(), 'lastchunk-reused-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  const instance = createInMemoryInstance({ journal: path });
  const all: ServerResponse[] = [];
  const server = await serve((req, res) => {
    const guarded = instance.keep.guard({}, (_req, given: ServerResponse) => {
      given.setHeader('content-type', 'text/plain');
      given.write('begun ');
      all.push(given);
      if (all.length === 2) act(given);
    });
    void guarded(req, res);
  });
  const clients = [await openClient(server, '/'), await openClient(server, '/')];
  await until('both have begun', () => all.length === 2);
  await nextTurn();
  return { instance, all, clients };
}

describe('a buffer that is reused in the next tick', () => {
  it('is read and stored with its original content, in streams that share a journal write', async () => {
    // However busy the machine is, they write within a millisecond.
    const { instance, all, clients } = await begin(() => undefined);
    const clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    const [one, other] = all;
    one?.write('company');
    if (other !== undefined) await writeInTicks(other);
    clock.mockRestore();
    await nextTurn();
    for (const res of all) res.end();
    for (const client of clients) await client.over();
    expect(clients[1]?.reply?.body.toString()).toBe(`begun ${ROUNDS.join('')}`);
    await instance.recorded.ended(2);
    const texts = [...instance.store.rows.values()].map(({ text }) => text);
    expect(texts).toContain(`begun ${ROUNDS.join('')}`);
  });
});
