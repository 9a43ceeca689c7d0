/** A batch in which an instance that holds a lease tells nothing. */
import type { RelayBatch } from '../../src/relay/port.ts';

/** With a lease and a retention of a minute. */
export const EMPTY_BATCH: RelayBatch = {
  instance: 'i',
  registers: false,
  leaseMs: 60_000,
  retainMs: 60_000,
  openings: [],
  parts: [],
  states: [],
  settled: [],
  following: [],
};
