/** One save at a time: how long it takes through the saver, beside the same statement sent by hand. */
import type { Message } from '../../src/core/message.ts';
import { fsyncs } from '../databases.ts';
import { figure, quantile } from '../figures.ts';
import { newMessage } from '../messages.ts';
import { ratios } from '../rounds.ts';
import { createSavers, type Savers } from '../savers.ts';
import type { Bench } from '../part.ts';

const ROUNDS = 10;
const PAIRS = 2_000;
const QUICK = { rounds: 1, pairs: 200 };

const PARTS_OF_ALL = { p50: 0.5, p99: 0.99 } as const;

export async function benchLatency(bench: Bench): Promise<void> {
  for (const fsync of fsyncs(bench.quick)) {
    const savers = await createSavers(bench.built, await bench.databases.open(fsync));
    await measure(bench, savers, `fsync ${fsync}`);
    await savers.close();
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
  for (const [name, part] of Object.entries(PARTS_OF_ALL)) {
    const of = (values: readonly number[]): number => quantile(values, part);
    const guarded = rounds.map((round) => of(round.guarded));
    const byHand = rounds.map((round) => of(round.byHand));
    found(figure(`${what}, ${name}: saver`, 'ms', guarded));
    found(figure(`${what}, ${name}: by hand`, 'ms', byHand));
    found(figure(`${what}, ${name} by round: saver to by hand`, 'x', ratios(guarded, byHand)));
    // Over all pairs at once: a percentile of many says more than many percentiles of few.
    const all = ratios(
      [of(rounds.flatMap((round) => round.guarded))],
      [of(rounds.flatMap((round) => round.byHand))],
    );
    found(figure(`${what}, ${name}: saver to by hand`, 'x', all));
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
