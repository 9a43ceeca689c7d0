/**
 * Waits for conditions, never for a fixed time: a condition is checked until it holds; only a very slow machine or a real failure reaches
 * the limit.
 */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

// Below the limit of a test, so that its failure names what was waited for.
const LIMIT_MS = 45_000;

/** The first truthy result of `check`; rejects after 45 seconds, with the name of the condition. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const givesUpAt = Date.now() + LIMIT_MS;
  for (let turn = 0; Date.now() < givesUpAt; turn += 1) {
    const answer = await check();
    if (answer) {
      // The `if` has shown that the value is truthy.
      return answer as Exclude<T, undefined | null | false | 0 | ''>;
    }
    await (turn < 50 ? nextTurn() : delay(5));
  }
  throw new Error(`waited ${LIMIT_MS} ms in vain until ${what}`);
}

/** `promise`, or after 45 seconds a rejection that names what did not come. */
export async function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  const limit = new AbortController();
  const refusal = delay(LIMIT_MS, undefined, { signal: limit.signal }).then(() => {
    throw new Error(`waited ${LIMIT_MS} ms in vain for ${what}`);
  });
  try {
    return await Promise.race([promise, refusal]);
  } finally {
    limit.abort();
    refusal.catch(() => {
      // The rejection by the abort above.
    });
  }
}

/** Waits for `count` turns of the event loop, so that pending events have been handled. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}
