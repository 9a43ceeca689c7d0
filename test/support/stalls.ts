/**
 * Adds to the error of a failed test the longest time that the event loop was blocked during the test. After such a pause the timers of
 * the test and of the code under test fire together, so a test that depends on their order can fail without a fault. Only such a failure
 * gets a second try, and the reporter names it with that time.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { beforeEach } from 'vitest';

/** Shorter than the shortest time limit that a test gives the code. */
const STALL_MS = 150;
const TICK_MS = 10;

// Bound now: a test may replace the clock.
const nowMs = performance.now.bind(performance);
let tickedMs = nowMs();
let longestMs = 0;

function tick(): void {
  const before = tickedMs;
  tickedMs = nowMs();
  longestMs = Math.max(longestMs, tickedMs - before - TICK_MS);
}
setInterval(tick, TICK_MS).unref();

beforeEach(({ task, onTestFailed }) => {
  tick();
  longestMs = 0;
  onTestFailed(async () => {
    // The interval measures a pause when it is over.
    await delay(TICK_MS);
    tick();
    if (longestMs < STALL_MS) return;
    for (const error of task.result?.errors ?? []) {
      error.message += ` [the event loop of this test was blocked for ${Math.round(longestMs)} ms]`;
    }
  });
});
