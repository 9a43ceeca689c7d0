/** The process ends: by SIGKILL, by SIGTERM, and by a second SIGTERM. */
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from './app.ts';
import type { Bench } from './bench.ts';
import { converse } from './client.ts';
import type { Conversation } from './conversation.ts';
import type { Fault } from './fault.ts';
import { waitUntil } from './wait.ts';

/** SIGKILL at random moments while streams run, then a start on the same journal, until all streams have ended. */
export const killed: Fault = {
  name: 'sigkill',
  title: 'SIGKILL at random moments, then a restart',
  run: async (bench, streams) => {
    const app = await bench.app();
    const conversations = bench.draw(streams, { mayBeInterrupted: true });
    let running = true;
    const over = bench.run(app, conversations).finally(() => (running = false));
    for (let kills = 0; running || kills === 0; kills += 1) {
      const until = arrived(conversations) + bench.random.int(1, 1_500);
      await waitUntil('some more has arrived', () => !running || arrived(conversations) >= until);
      await sleep(bench.random.int(0, 20));
      await app.kill();
      await app.start();
    }
    await over;
  },
};

/** Enough for a process with a few hundred streams; half of it is for streams to end by themselves. */
const CLOSE_MS = 3_000;

/** SIGTERM with 200 live streams, all of them slower than the deadline allows. Then again, with a second signal. */
export const terminated: Fault = {
  name: 'sigterm',
  title: 'SIGTERM with 200 live streams, once and twice',
  run: async (bench, streams) => {
    const app = await bench.app({ closeMs: CLOSE_MS });
    const live = Math.max(200, streams - 20);
    const once = await underWay(bench, live);
    const ended = await app.close();
    // Checked before the next start: a message that was not committed must be on disk.
    const kept = (await bench.rows()).length + (ended.closed?.journaled ?? 0);
    bench.check(ended.code === 0, `SIGTERM ended it with ${ended.signal ?? ended.code}`);
    bench.check(ended.closed?.lost === 0, `close(): ${JSON.stringify(ended.closed)}`);
    await once.over;
    const seen = once.conversations.filter((one) => one.seen !== '').length;
    bench.check(kept >= seen, `${kept} of ${seen} were durable when the process ended`);
    await app.start();

    const twice = await underWay(bench, Math.max(20, streams - live));
    const { signal, closed } = await app.closeTwice(bench.random.int(0, CLOSE_MS / 3));
    bench.check(signal === 'SIGTERM' && closed === undefined, 'the second SIGTERM did not end it');
    await twice.over;
    await app.start();

    async function underWay(of: Bench, count: number) {
      const drawing = { mayBeInterrupted: true, gapMs: [80, 160] } as const;
      const conversations = of.draw(count, drawing);
      const over = of.run(app, conversations, count);
      await of.tokens(conversations, count * 3);
      return { conversations, over };
    }
  },
};

function arrived(conversations: readonly Conversation[]): number {
  return conversations.reduce((sum, { tokens }) => sum + tokens, 0);
}

/** Number of clients that send the next request on the same connection as soon as they have an answer. */
const KEEP_ALIVE_CLIENTS = 40;

/** One SIGTERM for this many streams: a run of 2 000 has fifty. */
const STREAMS_PER_SIGTERM = 40;

/** Repeated SIGTERM while 40 clients request answers that are written in one turn. */
export const keptAlive: Fault = {
  name: 'sigterm-keep-alive',
  title: 'SIGTERM under keep-alive load, one-turn answers',
  run: async (bench, streams) => {
    const app = await bench.app();
    let answers = 0;
    for (let terms = Math.ceil(streams / STREAMS_PER_SIGTERM); terms > 0; terms -= 1) {
      const load = { gone: false, onAnswer: () => void (answers += 1) };
      const until = answers + KEEP_ALIVE_CLIENTS;
      const clients = Array.from({ length: KEEP_ALIVE_CLIENTS }, () => askOn(bench, app, load));
      await waitUntil('every client may have had an answer', () => answers >= until);
      await sleep(bench.random.int(0, 100));
      const { code, closed } = await app.close();
      load.gone = true;
      bench.check(code === 0 && closed?.lost === 0, `close(): ${code} ${JSON.stringify(closed)}`);
      await Promise.all(clients);
      await app.start();
    }
  },
};

/** A client that requests one answer after the other on one connection. */
async function askOn(
  bench: Bench,
  app: App,
  load: { readonly gone: boolean; readonly onAnswer: () => void },
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const base = await app.url();
  while (!load.gone) {
    for (const conversation of bench.draw(1, { mayBeInterrupted: true, atOnce: true })) {
      await converse(conversation, base, agent);
      if (conversation.sawFinish) load.onAnswer();
      // Refused or reset: the app does not listen any more.
      if (conversation.status === undefined) await sleep(20);
    }
  }
  agent.destroy();
}
