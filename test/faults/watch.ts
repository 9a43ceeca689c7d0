/** Scrapes an app at random moments and checks the conditions that must hold at any moment. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../demo/random.ts';
import { parseScrape, type Scrape } from '../support/scrape.ts';
import type { App } from './app.ts';

/** Watches one app. */
export interface Watch {
  /** The metrics of the app now; `undefined` when it does not answer. */
  scrape(): Promise<Scrape | undefined>;
  /** Number of scrapes so far. */
  readonly count: number;
  stop(): Promise<void>;
}

/** Options of a watch. */
export interface WatchOptions {
  /** See `Fault`. */
  readonly mayBeUnconfirmed: boolean;
  /** Called for each condition that does not hold. */
  readonly onWrong: (what: string) => void;
}

/** Longer than a scrape takes: only a scrape of a stopped or dead process reaches it. */
const SCRAPE_TIMEOUT_MS = 5_000;

/** Watches `app`, including its restarts. */
export function watch(
  app: App,
  random: Random,
  { mayBeUnconfirmed, onWrong }: WatchOptions,
): Watch {
  let running = true;
  let count = 0;
  const scrape = async (): Promise<Scrape | undefined> => {
    const { address } = app;
    if (address === undefined) return undefined;
    try {
      const answer = await fetch(`${address}/metrics`, {
        signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS),
      });
      const found = parseScrape(await answer.text());
      count += 1;
      wrongIn(found, mayBeUnconfirmed).forEach(onWrong);
      return found;
    } catch {
      // Killed, stopped or closing: without an answer there is nothing to check.
      return undefined;
    }
  };
  const loop = async (): Promise<void> => {
    while (running) {
      await scrape();
      await sleep(random.int(10, 200));
    }
  };
  const over = loop();
  return {
    scrape,
    get count() {
      return count;
    },
    stop: async () => {
      running = false;
      await over;
    },
  };
}

const ROUTE = { route: '/chat/:id' };

/** Expected saves and results are counted independently, and must agree at any moment. */
function wrongIn(scrape: Scrape, mayBeUnconfirmed: boolean): string[] {
  const expected = scrape.sum('lastchunk_saves_expected_total', ROUTE);
  const results = scrape.sum('lastchunk_saves_total', ROUTE);
  const pending = scrape.sum('lastchunk_saves_pending', ROUTE);
  const wrong: string[] = [];
  if (expected - results - pending !== 0 || pending < 0) {
    wrong.push(`expected ${expected} - saves ${results} - pending ${pending} is not 0`);
  }
  if (expected !== scrape.sum('lastchunk_saves_expected_total')) wrong.push('another route is due');
  for (const { name, labels } of mayBeUnconfirmed ? NEVER : [...NEVER, UNCONFIRMED]) {
    const value = scrape.sum(name, labels);
    if (value !== 0) wrong.push(`${name} ${JSON.stringify(labels)} is ${value}`);
  }
  return wrong;
}

/** None of these increases, because the database comes back or the disk has space. */
const NEVER = [
  { name: 'lastchunk_saves_total', labels: { result: 'lost' } },
  { name: 'lastchunk_saves_total', labels: { result: 'missing' } },
  { name: 'lastchunk_journal_replayed_total', labels: { result: 'refused' } },
  { name: 'lastchunk_journal_recovered_total', labels: { result: 'refused' } },
] as const;

/** While database or disk is available, no terminal frame is sent unconfirmed. */
const UNCONFIRMED = { name: 'lastchunk_holds_total', labels: { released: 'unconfirmed' } } as const;
