/** Messages per second, with so many saves at a time: group commit against one statement per message. */
import type { Message } from '../src/message.ts';
import { FSYNC, onDatabase } from './databases.ts';
import { figure } from './figures.ts';
import { newMessage } from './messages.ts';
import type { Bench } from './parts.ts';
import { createSavers, type Savers } from './savers.ts';

/** Saves at a time, and how many make a round. */
const LOADS = [
  { atATime: 1, messages: 400 },
  { atATime: 50, messages: 3_000 },
  { atATime: 500, messages: 6_000 },
] as const;

const ROUNDS = 9;
const QUICK = { rounds: 1, messages: 500 };

/** At least so many times as many messages per second, at 500 at a time. */
const GOAL = { atLeast: 5 };

export async function benchSaves(bench: Bench): Promise<void> {
  for (const fsync of FSYNC) {
    await onDatabase(fsync, async (connectionString) => {
      const savers = await createSavers(bench.built, connectionString);
      for (const load of LOADS) await measure(bench, savers, { ...load, fsync });
      await savers.close();
    });
  }
}

async function measure(
  { quick, found }: Bench,
  savers: Savers,
  { fsync, atATime, messages }: { fsync: string; atATime: number; messages: number },
): Promise<void> {
  const count = quick ? QUICK.messages : messages;
  const guarded: number[] = [];
  const byHand: number[] = [];
  const runs = [
    { save: savers.guarded, rates: guarded },
    { save: savers.byHand, rates: byHand },
  ];
  // One round more, which warms up and is not counted.
  const rounds = quick ? QUICK.rounds : ROUNDS;
  for (let round = -1; round < rounds; round++) {
    for (const { save, rates } of round % 2 === 0 ? runs : runs.toReversed()) {
      const rate = await perSecond(save, count, atATime);
      if (round >= 0) rates.push(rate);
      if ((await savers.count()) !== count) throw new Error('rows are missing');
      await savers.empty();
    }
  }
  const ratios = guarded.map((rate, round) => rate / (byHand[round] ?? Number.NaN));
  const what = `fsync ${fsync}, ${atATime} at a time`;
  found(figure(`${what}: saver`, 'messages/s', guarded));
  found(figure(`${what}: by hand`, 'messages/s', byHand));
  found(figure(`${what}: saver to by hand`, 'x', ratios, atATime === 500 ? GOAL : undefined));
}

/** Saves `count` messages, always `atATime` of them on their way. */
async function perSecond(
  save: (message: Message) => Promise<void>,
  count: number,
  atATime: number,
): Promise<number> {
  const messages = Array.from({ length: count }, newMessage);
  const next = messages.values();
  const work = async (): Promise<void> => {
    // All workers share the one iterator: each takes the next message that nobody has.
    for (const message of next) await save(message);
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: atATime }, work));
  return (count / (performance.now() - startMs)) * 1_000;
}
