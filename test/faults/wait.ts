/** Waiting for facts, never for times. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Only a very slow machine or a real mistake ever meets it. */
const LIMIT_MS = 90_000;

/** The first truthy answer of `check`; rejects after a minute and a half, saying what was waited for. */
export async function waitUntil<T>(
  what: string,
  check: () => T | Promise<T>,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const givesUpAt = Date.now() + LIMIT_MS;
  while (Date.now() < givesUpAt) {
    const answer = await check();
    if (answer) {
      // The type says what truthiness has just shown.
      return answer as Exclude<T, undefined | null | false | 0 | ''>;
    }
    await sleep(20);
  }
  throw new Error(`waited ${LIMIT_MS / 1000} s in vain until ${what}`);
}
