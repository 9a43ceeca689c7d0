/** Waits for conditions, never for a fixed time. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Only a very slow machine or a real failure reaches this limit. */
const LIMIT_MS = 90_000;

/** The first truthy result of `check`; rejects after a minute and a half, with the name of the condition. */
export async function waitUntil<T>(
  what: string | (() => string),
  check: () => T | Promise<T>,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const givesUpAt = Date.now() + LIMIT_MS;
  while (Date.now() < givesUpAt) {
    const answer = await check();
    if (answer) {
      // The `if` has shown that the value is truthy.
      return answer as Exclude<T, undefined | null | false | 0 | ''>;
    }
    await sleep(20);
  }
  throw new Error(
    `waited ${LIMIT_MS / 1000} s in vain until ${typeof what === 'string' ? what : what()}`,
  );
}
