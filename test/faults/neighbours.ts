/** Several processes on one journal directory: whether dead owners are distinguished from live ones, and their streams taken over. */
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import type { App } from './app.ts';
import type { Bench } from './bench.ts';
import type { Conversation } from './conversation.ts';
import type { Fault } from './fault.ts';
import { waitUntil } from './wait.ts';

/** One of two processes is killed; two successors compete for its streams. Then one is killed and no successor is started. */
export const shared: Fault = {
  name: 'two-processes',
  title: 'two processes on one journal, one dies',
  run: async (bench, streams) => {
    const [dying, living] = await Promise.all([bench.app(), bench.app()]);
    const quarter = Math.ceil(streams / 4);
    const first = bench.draw(quarter, { mayBeInterrupted: true });
    const others = bench.draw(quarter);
    const running = Promise.all([bench.run(dying, first), bench.run(living, others)]);
    await bench.tokens(first, quarter * bench.random.int(5, 15));
    await dying.kill();
    const [successor] = await Promise.all([bench.app(), bench.app(), dying.start()]);
    await running;
    await bench.settled();

    const second = bench.draw(quarter, { mayBeInterrupted: true });
    const rest = bench.draw(quarter);
    const again = Promise.all([bench.run(living, second), bench.run(successor, rest)]);
    await bench.tokens(second, quarter * bench.random.int(5, 15));
    await living.kill();
    // No process is started: the running ones find the streams by themselves. After that the killed one is started for its remaining
    // clients.
    const helped = waitUntil('what the dead one left is found', () => found(bench, second));
    await helped;
    await living.start();
    await again;
  },
};

async function found(bench: Bench, conversations: readonly Conversation[]): Promise<boolean> {
  const seen = conversations.filter((one) => one.seen !== '');
  const stored = new Set((await bench.rows()).map((row) => row.conversation_id));
  return seen.every(({ id }) => stored.has(id));
}

/** Two processes that are both pid 1, one of them stopped: first it counts as alive by its socket, then it is taken for dead. */
export const frozen: Fault = {
  name: 'pid-1-frozen',
  title: 'two with pid 1, the live owner is stopped',
  leavesFiles: true,
  impossible: () =>
    spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0
      ? undefined
      : 'unshare --pid is not permitted',
  run: async (bench, streams) => {
    const owner = await bench.app({ ownPids: true });
    const [directory = ''] = readdirSync(bench.journal).filter((name) => name !== '.gitignore');
    const neighbours = [await bench.app({ ownPids: true })];
    const half = Math.ceil(streams / 2);
    for (const mistaken of [false, true]) {
      const conversations = bench.draw(half);
      const over = bench.run(owner, conversations);
      await bench.tokens(conversations, half * bench.random.int(3, 10));
      owner.freeze();
      if (mistaken) pretendDead(join(bench.journal, directory));
      neighbours.push(await bench.app({ ownPids: true }));
      const taken = await takenBy(bench, neighbours, mistaken);
      bench.check(
        taken === mistaken,
        mistaken ? 'nothing was taken over' : 'a live one was robbed',
      );
      owner.thaw();
      await over;
      await bench.settled();
    }
  },
};

/** Removes the socket, and makes the owner file two minutes old: as if the owner were on another machine. */
function pretendDead(home: string): void {
  rmSync(join(home, 'alive.sock'));
  const then = new Date(Date.now() - 120_000);
  utimesSync(join(home, 'owner.json'), then, then);
}

/**
 * Whether one of `apps` has taken over streams of another process; the last of them has just started. Each app searches at its start, and
 * the others may search again at any time.
 */
async function takenBy(bench: Bench, apps: readonly App[], expected: boolean): Promise<boolean> {
  const recovered = async (): Promise<boolean> => {
    const all = await Promise.all(
      apps.map((app) => bench.metric(app, 'lastchunk_journal_recovered_total')),
    );
    return all.some((count) => (count ?? 0) > 0);
  };
  if (expected) return waitUntil('one of them takes over', recovered);
  // An app answers its first stream after its search: after one more stream it has searched.
  for (const app of apps.slice(-1)) await bench.run(app, bench.draw(1));
  return recovered();
}
