/**
 * Every small handler, bare and under a guard whose store answers in every way: what its client is sent, what it is
 * answered, what it is told and what it leaves behind are the same, but for what the table of allowed differences says.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { allowanceFor, ALLOWED_DIFFERENCES, type AllowedDifference, NODE } from './allowed.ts';
import { differences } from './compare.ts';
import { SMALL_HANDLERS } from './handlers.ts';
import { PROTOCOLS, type Protocol, STORE_MODES } from './modes.ts';
import { guardOver, type Run, runAll } from './run.ts';

/** What came of all handlers without a guard. */
interface Recorded {
  readonly runs: readonly Run[];
  readonly left: readonly string[];
}

const NOTHING: Recorded = { runs: [], left: [] };

/** After everything that was expected, something more would have come by then. */
const QUIET_MS = 250;
/** Nothing new came for so long: then nothing more is expected, on a busy machine too. */
const LONG_QUIET_MS = 3_000;
const LIMIT_MS = 45_000;

const bareRuns = new Map<Protocol, Promise<Recorded>>();

/** Rows of the table that were needed. */
const seen = new Set<AllowedDifference>();

it('there are at least 200 small handlers with unique names', () => {
  expect(new Set(SMALL_HANDLERS.map(({ name }) => name)).size).toBe(SMALL_HANDLERS.length);
  expect(SMALL_HANDLERS.length).toBeGreaterThanOrEqual(200);
});

describe.each(PROTOCOLS)('over %s', (protocol) => {
  it.each(STORE_MODES)(
    'a store that $name causes no difference that is not in the table',
    async (mode) => {
      bareRuns.set(protocol, bareRuns.get(protocol) ?? recordBare(protocol));
      const bare = (await bareRuns.get(protocol)) ?? NOTHING;
      const journal = await mkdtemp(join(tmpdir(), 'lastchunk-differential-'));
      onTestFinished(() => rm(journal, { recursive: true, force: true }));
      const { guard, close, internalErrors } = guardOver(mode, mode.journal ? journal : false);
      const { all, stop, left, forget } = await runAll(protocol, guard);
      const found = (): string[] =>
        bare.runs.flatMap((run, at) => faults(protocol, run, all[at] ?? run));
      await settled(all, () => found().length === 0);
      await delay(QUIET_MS);
      const last = found();
      stop();
      await close();
      const leaves = await leftAtLast(() => left(mode.keepsTimers !== true), bare.left);
      forget();
      expect(last).toEqual([]);
      expect(internalErrors).toEqual([]);
      expect(leaves).toEqual(bare.left);
    },
    180_000,
  );
});

it('every row of the table has a difference that needs it', () => {
  const here = ALLOWED_DIFFERENCES.filter(
    ({ nodes, isTimed }) => nodes?.includes(NODE) !== false && isTimed !== true,
  );
  expect(here.filter((row) => !seen.has(row)).map(({ what }) => what)).toEqual([]);
});

/** Differences that no row of the table allows, as lines. */
function faults(protocol: Protocol, bare: Run, guarded: Run): string[] {
  return differences(bare, guarded)
    .filter((difference) => {
      const row = allowanceFor(protocol, bare.name, difference);
      if (row !== undefined) seen.add(row);
      return row === undefined;
    })
    .map(({ what, ...sides }) => `${bare.name} | ${what} | ${sides.bare} | ${sides.guarded}`);
}

/** The runs without a guard, as they are when nothing more comes; Node would close idle connections later. */
async function recordBare(protocol: Protocol): Promise<Recorded> {
  const { all, stop, left, forget } = await runAll(protocol, undefined);
  await settled(all, () => false);
  const frozen = all.map(({ name, probe, wire, connection }): Run => {
    const copy = probe && { said: [...probe.said], events: [...probe.events], waiting: 0 };
    return { name, probe: copy, wire, connection };
  });
  stop();
  const leaves = await leftAtLast(() => left(true), []);
  forget();
  return { runs: frozen, left: leaves };
}

/** What handlers have left behind: when that is `expected`, or when it has not changed for a while. */
async function leftAtLast(
  left: () => readonly string[],
  expected: readonly string[],
): Promise<readonly string[]> {
  let before = left();
  let quietSince = Date.now();
  while (Date.now() - quietSince < LONG_QUIET_MS && before.join() !== expected.join()) {
    await delay(50);
    const now = left();
    if (now.join() !== before.join()) quietSince = Date.now();
    before = now;
  }
  return before;
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
    if (Date.now() - quietSince > LONG_QUIET_MS || isEnough()) return;
  }
}
