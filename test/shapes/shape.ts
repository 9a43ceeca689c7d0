/** An app as people write it around lastchunk, so small that it can be read, and what has to come of it. */
import type { RequestListener } from 'node:http';
import { onTestFinished } from 'vitest';
import type { Lastchunk, Message, Middleware } from '../../src/index.ts';
import type { PeerRequest } from '../peers/peer-case.ts';
import { missingOf, type Packages } from './packages.ts';

/** One shape of app. */
export interface Shape {
  /** Packages that it is made with; where one is missing it is not run. */
  readonly needs?: readonly (keyof Packages)[];
  /** The app as it is without `keep`, and with the guard on its route. */
  readonly app: (keep: Lastchunk | undefined) => RequestListener | Promise<RequestListener>;
  readonly asks: readonly PeerRequest[];
  /** Parts of what clients are sent. */
  readonly sees: readonly string[];
  /** What the rows hold, in order. */
  readonly rows: readonly Partial<Message>[];
  /** Streams that ended, by the label `route`. */
  readonly streams: Readonly<Record<string, number>>;
}

/** What is said by an answer of three words. */
export const WORDS = ['Hello', ' big', ' world'] as const;
export const ANSWER = WORDS.join('');

/** The guard of an app, or nothing in its place. */
export function guardOf(
  keep: Lastchunk | undefined,
  options: Parameters<Lastchunk['guard']>[0] = {},
): Middleware {
  return keep?.guard({ message: () => ({ conversationId: 'c1' }), ...options }) ?? passOn;
}

/** A middleware that does nothing. */
export const passOn: Middleware = (_req, _res, next) => {
  next?.();
};

/** Whether all packages are there. In CI they have to be: `npm ci` installs them. */
export function canRun(needs: readonly (keyof Packages)[] = []): boolean {
  const missing = missingOf(needs);
  if (missing === undefined) return true;
  if (process.env['CI'] !== undefined) throw new Error(`${missing} has to be installed`);
  console.log(`${missing} is not installed: not run here`);
  return false;
}

/** Runs when the test is over. */
export function afterTest(close: () => unknown): void {
  onTestFinished(async () => {
    await close();
  });
}
