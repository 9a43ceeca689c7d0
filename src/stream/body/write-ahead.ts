/**
 * When one write to the journal can serve many streams. Node sends the bytes of a tick when the tick is over, and there is a
 * tick for each timer that fires and each socket that is read: ten thousand streams would be ten thousand journal writes. So where
 * streams write at nearly the same time, their bytes wait until the turn of the event loop is over, and the first connection that
 * sends writes the journal for all. A stream that is alone does not wait.
 */

/** Streams that write within this time of each other are in company: too short to be seen, longer than a turn of an idle process. */
const COMPANY_MS = 1;

let lastStream = 0;
let lastMs = Number.NEGATIVE_INFINITY;
let numbers = 0;

/** A number that identifies one stream to `inCompany`; a reference to the stream would keep it in memory. */
export function streamNumber(): number {
  numbers += 1;
  return numbers;
}

/** Notes that a stream writes, at a time of `performance.now()`; true when another one did just before. */
export function inCompany(stream: number, nowMs: number): boolean {
  const others = stream !== lastStream && nowMs - lastMs < COMPANY_MS;
  lastStream = stream;
  lastMs = nowMs;
  return others;
}
