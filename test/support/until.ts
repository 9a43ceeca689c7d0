/**
 * Waiting for facts, never for times: a condition is asked again and again until it holds, and only a very slow
 * machine or a real mistake ever meets the limit.
 */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';

// Below the limit of a test, so that its failure names what was waited for.
const LIMIT_MS = 45_000;

/** The first truthy answer of `check`; rejects after 45 seconds, saying what was waited for. */
export async function until<T>(
  what: string,
  check: () => T | Promise<T>,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const givesUpAt = Date.now() + LIMIT_MS;
  for (let turn = 0; Date.now() < givesUpAt; turn += 1) {
    const answer = await check();
    if (answer) {
      // The type says what truthiness has just shown.
      return answer as Exclude<T, undefined | null | false | 0 | ''>;
    }
    await (turn < 50 ? nextTurn() : delay(5));
  }
  throw new Error(`waited ${LIMIT_MS} ms in vain until ${what}`);
}

/** `promise`, or a rejection that names what did not come. */
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
      // The race is over; this is the abort of the line above.
    });
  }
}

/** Lets `turns` whole turns of the event loop pass, so that what was about to happen has happened. */
export async function turns(count = 5): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await nextTurn();
}
