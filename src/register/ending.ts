/**
 * The last spans before the end of the process. An app that calls `keep.close()` has sent them by then; this is for the
 * others: those that simply run out of work, and those that leave a signal to Node.
 */

/** How long the end of the process may wait for a collector that hangs. */
const FLUSH_MS = 2_000;

/** The signals that end a process by Node's default and are sent on purpose. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/**
 * Calls `flush` once before the process ends by itself, and before one of the signals ends it. Whether a signal ends it
 * stays Node's decision: as soon as anybody else listens to it, it is theirs alone.
 */
export function flushAtTheEnd(flush: (ms: number) => Promise<void>): void {
  // Bounded by the exporters' own time-outs: what else may keep the process alive is not ours to cut off.
  process.once('beforeExit', () => void flush(FLUSH_MS));
  for (const signal of SIGNALS) {
    // Somebody who was preloaded before us.
    if (process.listenerCount(signal) === 0) endAfterFlush(signal, flush);
  }
}

function endAfterFlush(
  signal: (typeof SIGNALS)[number],
  flush: (ms: number) => Promise<void>,
): void {
  const end = (): void => {
    // Now nobody listens any more: a second signal ends the process at once, and so does the one that we send.
    process.off(signal, end);
    process.off('newListener', notice);
    void flush(FLUSH_MS).then(() => process.kill(process.pid, signal));
  };
  const notice = (name: string | symbol): void => {
    if (name !== signal) return;
    process.off('newListener', notice);
    // The other one is not among the listeners yet, and when the last one goes Node stops watching for the signal.
    process.nextTick(() => process.off(signal, end));
  };
  process.on(signal, end);
  process.on('newListener', notice);
}
