/**
 * When one write to the journal can be for many streams. Node lets the bytes of a tick go when the tick is over, and there is
 * a tick for each timer that fires and each socket that is read: ten thousand streams would be ten thousand writes. So where
 * streams write in company their sockets are kept corked until the turn of the event loop is over, and the first of them
 * writes the journal for all. A stream that is alone waits for nobody.
 */

/** Streams that write within so long of each other are in company: less than anybody sees, and longer than a turn of an idle process. */
const COMPANY_MS = 1;

let lastStream = 0;
let lastMs = Number.NEGATIVE_INFINITY;
let numbers = 0;

/** A number for one stream, by which `inCompany` knows it; the stream itself would be kept in memory. */
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
