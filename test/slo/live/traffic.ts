/** Clients of one service: they ask, read, sometimes leave early, wait, and ask again. */
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../../demo/random.ts';
import type { App } from './app.ts';

/** What a client asks for. */
export interface Ask {
  readonly tokens: number;
  /** Words of a token. */
  readonly size: number;
  readonly gapMs: number;
  /** Between the last token and the end. */
  readonly lingerMs: number;
}

/** What goes on in one service. */
export interface Traffic {
  /** Percentage of clients that leave early. */
  leaving: number;
  /** Streams so far. */
  readonly streams: number;
  /** One client more, with a question of its own; resolves when its connection is over. */
  ask(ask: Ask): Promise<void>;
  stop(): Promise<void>;
}

/** Some clients always leave early: that is how people are. */
const USUALLY_LEAVING = 4;
const CLIENTS = 3;

/** Starts clients; they go on until `stop`. */
export function startTraffic(app: App, random: Random): Traffic {
  let running = true;
  const traffic = { leaving: USUALLY_LEAVING, streams: 0 };
  const client = async (): Promise<void> => {
    while (running) {
      const ask: Ask = { tokens: random.int(4, 8), size: 4, gapMs: 15, lingerMs: 0 };
      const leaves = random.int(1, 100) <= traffic.leaving;
      const { address } = app;
      if (address !== undefined) {
        traffic.streams += 1;
        await converse(address, ask, leaves ? random.int(1, 3) : undefined);
      }
      await sleep(random.int(100, 500));
    }
  };
  const over = Promise.all(Array.from({ length: CLIENTS }, client));
  return Object.assign(traffic, {
    ask: (ask: Ask) => (app.address === undefined ? Promise.resolve() : converse(app.address, ask)),
    stop: async () => {
      running = false;
      await over;
    },
  });
}

/** Resolves when the connection is over, however it ended; never rejects. */
function converse(address: string, ask: Ask, leaveAfter = Infinity): Promise<void> {
  return new Promise((resolve) => {
    let chunks = 0;
    const asking = request(`http://${address}/chat/c`, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json' },
    });
    asking.on('response', (answer) => {
      answer.on('data', () => {
        chunks += 1;
        if (chunks >= leaveAfter) asking.destroy();
      });
      // Killed processes cut connections; that is one of the faults.
      answer.on('error', () => {});
    });
    asking.on('error', () => {});
    asking.on('close', () => resolve());
    asking.end(JSON.stringify(ask));
  });
}
