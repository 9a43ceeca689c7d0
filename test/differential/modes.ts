/** Where and with which stores the small handlers run. */
import { setTimeout as delay } from 'node:timers/promises';
import { coded } from '../support/errors.ts';

/** How a client asks. */
export const PROTOCOLS = ['HTTP/1.1', 'HTTP/1.1 (`highWaterMark: 64`)', 'HTTPS', 'HTTP/2'] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** Its server gives connections so little room that nearly every write fills it. */
export const SMALL_BUFFERS: Protocol = PROTOCOLS[1];

/** How the store answers, and how long a terminal frame waits for it at most. */
export interface StoreMode {
  readonly name: string;
  readonly save: () => Promise<void>;
  readonly confirmTimeoutMs: number;
  /** With a write-ahead log on disk. */
  readonly journal?: boolean;
  /** A call that never answers, or is to be tried again, keeps a timer of the instance, which keeps no process up. */
  readonly keepsTimers?: boolean;
}

const LONG_MS = 60_000;

export const STORE_MODES: readonly StoreMode[] = [
  { name: 'answers at once', save: () => Promise.resolve(), confirmTimeoutMs: LONG_MS },
  {
    name: 'answers after 20 ms',
    save: () => delay(20),
    confirmTimeoutMs: LONG_MS,
    journal: true,
  },
  { name: 'answers after 300 ms', save: () => delay(300), confirmTimeoutMs: LONG_MS },
  {
    name: 'refuses',
    save: () => Promise.reject(coded('connect', 'ECONNREFUSED')),
    confirmTimeoutMs: 20,
    keepsTimers: true,
  },
  { name: 'hangs', save: () => new Promise(() => {}), confirmTimeoutMs: 60, keepsTimers: true },
];
