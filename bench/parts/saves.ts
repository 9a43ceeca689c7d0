/** Messages per second, with so many saves at a time: group commit against one statement per message. */
import type { Message } from '../../src/core/message.ts';
import { atATime } from '../client.ts';
import { fsyncs } from '../databases.ts';
import { figure } from '../figures.ts';
import { newMessage } from '../messages.ts';
import { inTurn, ratios } from '../rounds.ts';
import { createSavers, type Savers } from '../savers.ts';
import type { Bench } from '../part.ts';

/** Saves at a time, and how many make a round. */
const LOADS = [
  { together: 1, messages: 400 },
  { together: 50, messages: 3_000 },
  { together: 500, messages: 6_000 },
] as const;

/** The first warms up. */
const ROUNDS = { rounds: 5, warmUp: 1 };
const QUICK = { rounds: 1, messages: 500 };

/** Ways of saving. */
const WAYS = ['guarded', 'byHand'] as const satisfies readonly (keyof Savers)[];

export async function benchSaves(bench: Bench): Promise<void> {
  for (const fsync of fsyncs(bench.quick)) {
    const savers = await createSavers(bench.built, await bench.databases.open(fsync));
    for (const load of LOADS) await measure(bench, savers, { ...load, fsync });
    await savers.close();
  }
}

async function measure(
  { quick, found }: Bench,
  savers: Savers,
  { fsync, together, messages }: { fsync: string; together: number; messages: number },
): Promise<void> {
  const count = quick ? QUICK.messages : messages;
  const rates = await inTurn(WAYS, quick ? QUICK : ROUNDS, async (way) => {
    const rate = await perSecond(savers[way], count, together);
    if ((await savers.count()) !== count) throw new Error('rows are missing');
    await savers.empty();
    return rate;
  });
  const what = `fsync ${fsync}, ${together} at a time`;
  found(figure(`${what}: saver`, 'messages/s', rates.guarded));
  found(figure(`${what}: by hand`, 'messages/s', rates.byHand));
  found(figure(`${what}: saver to by hand`, 'x', ratios(rates.guarded, rates.byHand)));
}

/** Saves `count` messages, always `together` of them on their way. */
async function perSecond(
  save: (message: Message) => Promise<void>,
  count: number,
  together: number,
): Promise<number> {
  const messages = Array.from({ length: count }, newMessage);
  const startMs = performance.now();
  await atATime(together, count, async () => {
    const message = messages.pop();
    if (message !== undefined) await save(message);
  });
  return (count / (performance.now() - startMs)) * 1_000;
}
