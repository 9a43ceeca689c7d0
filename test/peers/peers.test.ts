/**
 * What other packages do is the same with a middleware of ours between the server and them: their own documented
 * behaviours, as small apps, bare and inside, with a store that needs time and, in one column, with every answer held.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import type { PeerCase } from './peer-case.ts';
import { type Around, runPeer } from './run-peer.ts';
import { PEER_CASES, PEER_GUARDS } from './table.ts';

const SAVE_MS = 20;
/** Nothing new came for so long: then nothing more is expected. */
const QUIET_MS = 150;
/** For what has to come. */
const LIMIT_MS = 10_000;

describe.each(PEER_CASES.map((one) => ({ ...one, one })))('$peer: $shows', ({ one }) => {
  it(`is the same under ${PEER_GUARDS.join(', ')}`, async () => {
    const bare = await bareRun(one);
    for (const part of one.sees) expect(bare).toContain(part);
    await Promise.all(PEER_GUARDS.map((name) => expectSame(one, name, bare)));
  });
});

type GuardName = (typeof PEER_GUARDS)[number];

async function expectSame(one: PeerCase, name: GuardName, bare: string): Promise<void> {
  const store = { save: () => delay(SAVE_MS), close: () => Promise.resolve() };
  const { keep, recorded } = createInMemoryInstance({ store });
  const policy = { disconnected: 'keep' } as const;
  const arounds: Readonly<Record<GuardName, () => Around>> = {
    'observe()': () => keep.observe(),
    'guard()': () => keep.guard({ policy }),
    'guard({ stream: true })': () => keep.guard({ policy, stream: true }),
  };
  const seen = await runPeer(one, arounds[name]());
  const givesUpAt = Date.now() + LIMIT_MS;
  while (seen() !== bare && Date.now() < givesUpAt) await delay(5);
  await delay(QUIET_MS);
  expect(`under ${name}\n${seen()}`).toBe(`under ${name}\n${bare}`);
  expect(recorded.internalErrors).toEqual([]);
}

/** What is seen without us, when nothing more comes. */
async function bareRun(one: PeerCase): Promise<string> {
  const seen = await runPeer(one, (_req, _res, next) => next());
  let last = '';
  while (last !== seen()) {
    last = seen();
    await delay(QUIET_MS);
  }
  return last;
}
