/**
 * Every small handler, bare and under a guard whose store answers in every way: what its client is sent, what it is
 * answered and what it is told are the same, but for what the table of allowed differences says.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { allowanceFor } from './allowed.ts';
import { differences } from './compare.ts';
import { SMALL_HANDLERS } from './handlers.ts';
import { PROTOCOLS, type Protocol, STORE_MODES } from './modes.ts';
import { guardOver, type Run, runAll } from './run.ts';

/** Nothing new came for so long: then nothing more is expected. */
const QUIET_MS = 250;
const LIMIT_MS = 45_000;

const bareRuns = new Map<Protocol, Promise<readonly Run[]>>();

it('there are at least 200 small handlers, each with a name of its own', () => {
  expect(new Set(SMALL_HANDLERS.map(({ name }) => name)).size).toBe(SMALL_HANDLERS.length);
  expect(SMALL_HANDLERS.length).toBeGreaterThanOrEqual(200);
});

describe.each(PROTOCOLS)('over %s', (protocol) => {
  it.each(STORE_MODES)('a store that $name changes nothing else', async (mode) => {
    bareRuns.set(protocol, bareRuns.get(protocol) ?? recordBare(protocol));
    const bare = await bareRuns.get(protocol);
    const journal = await mkdtemp(join(tmpdir(), 'lastchunk-differential-'));
    onTestFinished(() => rm(journal, { recursive: true, force: true }));
    const { guard, close, internalErrors } = guardOver(mode, mode.journal ? journal : false);
    const { all, stop } = await runAll(protocol, guard);
    const found = (): string[] =>
      (bare ?? []).flatMap((run, at) => faults(protocol, run, all[at] ?? run));
    await settled(all, () => found().length === 0);
    await delay(QUIET_MS);
    const last = found();
    stop();
    await close();
    expect(last).toEqual([]);
    expect(internalErrors).toEqual([]);
  });
});

/** Differences that no row of the table allows, as lines. */
function faults(protocol: Protocol, bare: Run, guarded: Run): string[] {
  return differences(bare, guarded)
    .filter((difference) => allowanceFor(protocol, bare.name, difference) === undefined)
    .map(({ what, ...sides }) => `${bare.name} | ${what} | ${sides.bare} | ${sides.guarded}`);
}

/** The runs without a guard, as they are when nothing more comes; Node would close idle connections later. */
async function recordBare(protocol: Protocol): Promise<readonly Run[]> {
  const { all, stop } = await runAll(protocol, undefined);
  await settled(all, () => false);
  const frozen = all.map(({ name, probe, wire, connection }): Run => {
    const copy = probe && { said: [...probe.said], events: [...probe.events], waiting: 0 };
    return { name, probe: copy, wire, connection };
  });
  stop();
  return frozen;
}

/** Waits until `isEnough`, or until nothing new has come for a while. */
async function settled(all: readonly Run[], isEnough: () => boolean): Promise<void> {
  const givesUpAt = Date.now() + LIMIT_MS;
  let before = '';
  let quietSince = Date.now();
  while (Date.now() < givesUpAt) {
    await delay(50);
    const now = all
      .map(({ probe, wire, connection }) =>
        [probe?.said.length, probe?.events.length, probe?.waiting, wire.length, connection].join(),
      )
      .join(';');
    if (now !== before) quietSince = Date.now();
    before = now;
    if (all.some(({ probe }) => probe?.waiting !== 0)) continue;
    if (Date.now() - quietSince > 3 * QUIET_MS || isEnough()) return;
  }
}
