/** One save at a time: how long it takes through the saver, beside the same statement sent by hand. */
import type { Message } from '../src/message.ts';
import { FSYNC, onDatabase } from './databases.ts';
import { figure, quantile } from './figures.ts';
import { newMessage } from './messages.ts';
import type { Bench } from './parts.ts';
import { createSavers, type Savers } from './savers.ts';

const ROUNDS = 10;
const PAIRS = 2_000;
const QUICK = { rounds: 1, pairs: 200 };

/** At most so many times as long. */
const GOAL = { atMost: 1.1 };

const PARTS_OF_ALL = { p50: 0.5, p99: 0.99 } as const;

export async function benchLatency(bench: Bench): Promise<void> {
  for (const fsync of FSYNC) {
    await onDatabase(fsync, async (connectionString) => {
      const savers = await createSavers(bench.built, connectionString);
      await measure(bench, savers, `fsync ${fsync}`);
      await savers.close();
    });
  }
}

async function measure({ quick, found }: Bench, savers: Savers, what: string): Promise<void> {
  const rounds: Pairs[] = [];
  const count = quick ? QUICK.pairs : PAIRS;
  await pairs(savers, count / 2);
  for (let round = 0; round < (quick ? QUICK.rounds : ROUNDS); round++) {
    await savers.empty();
    rounds.push(await pairs(savers, count));
  }
  const all: Pairs = {
    guarded: rounds.flatMap(({ guarded }) => guarded),
    byHand: rounds.flatMap(({ byHand }) => byHand),
  };
  for (const [name, part] of Object.entries(PARTS_OF_ALL)) {
    const of = (values: readonly number[]): number => quantile(values, part);
    const ratios = rounds.map(({ guarded, byHand }) => of(guarded) / of(byHand));
    found(
      figure(
        `${what}, ${name}: saver`,
        'ms',
        rounds.map(({ guarded }) => of(guarded)),
      ),
    );
    found(
      figure(
        `${what}, ${name}: by hand`,
        'ms',
        rounds.map(({ byHand }) => of(byHand)),
      ),
    );
    found(figure(`${what}, ${name}: saver to by hand, by round`, 'x', ratios));
    const pooled = of(all.guarded) / of(all.byHand);
    const pooledName = `${what}, ${name}: saver to by hand, ${all.byHand.length} pairs`;
    found(figure(pooledName, 'x', [pooled], GOAL));
  }
}

interface Pairs {
  /** Milliseconds. */
  readonly guarded: readonly number[];
  readonly byHand: readonly number[];
}

/** One save of each kind after the other, so that whatever else the machine does meets both. */
async function pairs(savers: Savers, count: number): Promise<Pairs> {
  const guarded: number[] = [];
  const byHand: number[] = [];
  for (let pair = 0; pair < count; pair++) {
    const first = newMessage();
    const second = newMessage();
    if (pair % 2 === 0) {
      guarded.push(await timed(savers.guarded, first));
      byHand.push(await timed(savers.byHand, second));
    } else {
      byHand.push(await timed(savers.byHand, first));
      guarded.push(await timed(savers.guarded, second));
    }
  }
  return { guarded, byHand };
}

async function timed(save: (message: Message) => Promise<void>, message: Message): Promise<number> {
  const startMs = performance.now();
  await save(message);
  return performance.now() - startMs;
}
