/**
 * The accounts of the saver under every order of events: fast-check makes the interleavings of answers of the store and the
 * journal, deadlines, refusals, the memory limit and `close`, and shrinks the first one that breaks a rule.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createBench,
  createFakeJournal,
  settled,
  sqlError,
  type StoreCall,
  type Tracked,
} from './fakes.ts';

const KIB = 1_024;

/** One event; numbers choose among what is there at that time. */
type Step =
  | { readonly kind: 'save'; readonly kib: number; readonly holds: boolean }
  | { readonly kind: 'revise'; readonly which: number }
  | { readonly kind: 'store'; readonly which: number; readonly answer: string }
  | { readonly kind: 'sync' | 'refuse'; readonly which: number; readonly isOnDisk: boolean }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'close'; readonly deadlineMs: number };

const which = fc.nat(7);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('save'),
      kib: fc.integer({ min: 1, max: 40 }),
      holds: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revise'), which }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('store'),
      which,
      answer: fc.constantFrom('commit', 'commit', '57P01', 'ECONNRESET', '22P05', '23505'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('sync', 'refuse'),
      which,
      isOnDisk: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('wait'),
      ms: fc.constantFrom(50, 600, 2_100, 11_000, 61_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('close'),
      deadlineMs: fc.constantFrom(0, 1_000, 10_000),
    }),
  },
);

/** A keeper whose store and journal answer only when a step says so. */
function createScene(withJournal: boolean) {
  const journal = withJournal ? createFakeJournal() : undefined;
  const bench = createBench({ journal, maxPendingBytes: 96 * KIB });
  const calls: StoreCall[] = [];
  const syncs: ((isOnDisk: boolean) => void)[] = [];
  const refusals: ((isOnDisk: boolean) => void)[] = [];
  const saves: Tracked[] = [];
  bench.store.behave = (call) => void calls.push(call);
  if (journal !== undefined) {
    journal.syncs = () => new Promise((resolve) => void syncs.push(resolve));
    journal.refuses = () => new Promise((resolve) => void refusals.push(resolve));
    bench.keeper.start();
  }
  let closed: Promise<unknown> | undefined;
  const take = <Item>(items: Item[], index: number): Item | undefined =>
    items.splice(index % Math.max(1, items.length), 1)[0];

  const run = async (event: Step): Promise<void> => {
    switch (event.kind) {
      case 'save':
        saves.push(bench.save({ text: 'x'.repeat(event.kib * KIB) }, { holds: () => event.holds }));
        break;
      case 'revise': {
        const of = saves[event.which % Math.max(1, saves.length)];
        if (of === undefined) break;
        const revision = saves.filter(({ opened }) => opened === of.opened).length;
        saves.push(bench.save({ revision }, { of }));
        break;
      }
      case 'store': {
        const call = take(calls, event.which);
        if (event.answer === 'commit') call?.commit();
        else call?.reject(sqlError(event.answer));
        break;
      }
      case 'sync':
        take(syncs, event.which)?.(event.isOnDisk);
        break;
      case 'refuse':
        take(refusals, event.which)?.(event.isOnDisk);
        break;
      case 'wait':
        await bench.clock.advance(event.ms);
        break;
      case 'close':
        closed ??= bench.keeper.close(event.deadlineMs);
    }
    await settled();
  };
  /** Nothing hangs any more: store and journal answer everything that they are asked. */
  const settleAll = async (): Promise<void> => {
    bench.store.behave = (call) => call.commit();
    if (journal !== undefined) {
      journal.syncs = () => true;
      journal.refuses = () => true;
    }
    for (const call of calls.splice(0)) call.commit();
    for (const answer of [...syncs.splice(0), ...refusals.splice(0)]) answer(true);
    await bench.clock.advance(700_000);
  };
  return { bench, journal, saves, run, settleAll, closed: () => closed };
}

type Scene = ReturnType<typeof createScene>;

/** What holds after every step. */
function expectAccountsAddUp({ bench, saves }: Scene): void {
  const told = bench.account.saves.filter(({ kind }) => kind !== 'late');
  const without = saves.filter(({ result }) => result === undefined);
  // Expected less results less pending is nothing, and each result is told once.
  expect(saves.length - told.length - without.length).toBe(0);
  expect(bench.keeper.state().pending).toBe(without.length);
  for (const { message, opened } of saves) {
    const of = saves.filter((save) => save.opened === opened && save.result !== undefined);
    const reports = told.filter(({ messageId }) => messageId === message.id);
    expect(tally(reports.map(({ result }) => result))).toEqual(
      tally(of.map(({ result }) => result)),
    );
    const first = reports.filter(({ kind }) => kind === 'first');
    expect(first.length).toBeLessThanOrEqual(1);
    // A late word comes only after a loss, and once for each.
    const late = bench.account.saves.filter(
      (one) => one.kind === 'late' && one.messageId === message.id,
    );
    const losses = of.filter(({ result }) => result === 'lost' || result === 'missing');
    expect(late.length).toBeLessThanOrEqual(losses.length);
  }
  const untrue = saves.filter(
    ({ message, result }) => result === 'saved' && !bench.store.rows.has(message.id),
  );
  expect(untrue).toEqual([]);
}

function tally(results: readonly (string | undefined)[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const result of results) counts[String(result)] = (counts[String(result)] ?? 0) + 1;
  return counts;
}

async function play(steps: readonly Step[], withJournal: boolean): Promise<void> {
  const scene = createScene(withJournal);
  for (const event of steps) {
    await scene.run(event);
    expectAccountsAddUp(scene);
  }
  await scene.settleAll();
  await scene.closed();
  expectAccountsAddUp(scene);
  expect(scene.bench.keeper.state().pending).toBe(0);
  for (const { result, confirmed } of scene.saves) {
    expect([result, confirmed]).not.toContain(undefined);
  }
}

test.each([
  ['with a journal', true],
  ['without a journal', false],
])(
  'every save gets exactly one result in every interleaving %s',
  async (_, withJournal) => {
    const property = fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) =>
      play(steps, withJournal),
    );
    await expect(fc.assert(property, { numRuns: 200 })).resolves.toBeUndefined();
  },
  60_000,
);
