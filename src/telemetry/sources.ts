/** Numbers that somebody else keeps, asked for at the scrape. */
import type { JournalState } from '../journal/port.ts';
import type { StreamView } from '../core/observer.ts';
import { VERSION } from '../core/version.ts';
import type { Board } from './board.ts';
import { METRICS } from '../core/names/index.ts';

/** A pool of connections, as it is now. */
export interface PoolState {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
}

/** What is asked at every scrape instead of being told. All optional; what is absent has no series. */
export interface RecorderSources {
  readonly journal?: (() => JournalState | undefined) | undefined;
  readonly pool?: (() => PoolState | undefined) | undefined;
  /** The app's own pools, by the names it gave them. */
  readonly pools?: (() => Iterable<PoolState & { readonly name: string }>) | undefined;
  /** The stream's trace, if it is sampled: the exemplar of its observations. */
  readonly sampledTraceIdOf?: ((stream: StreamView) => string | undefined) | undefined;
}

/** Brings the board's gauges up to date. Throws what a source throws. */
export function readSources(board: Board, sources: RecorderSources): void {
  const journal = sources.journal?.();
  board.set(
    METRICS.buildInfo,
    { version: VERSION, node: process.version, journal: journal?.fileSystem ?? 'off' },
    1,
  );
  if (journal !== undefined) {
    board.set(METRICS.journalEntries, {}, journal.entries);
    board.set(METRICS.journalBytes, {}, journal.bytes);
    board.set(METRICS.journalCapacity, {}, journal.capacityBytes);
    board.set(METRICS.journalOldestEntry, {}, journal.oldestEntryMs / 1000);
    board.set(METRICS.journalDegraded, {}, journal.degraded === undefined ? 0 : 1);
    board.set(METRICS.journalCorrupt, {}, journal.corruptRecords);
  }
  const own = sources.pool?.();
  if (own !== undefined) readPool(board, 'lastchunk', own);
  for (const pool of sources.pools?.() ?? []) readPool(board, pool.name, pool);
}

function readPool(board: Board, pool: string, { total, idle, waiting, max }: PoolState): void {
  board.set(METRICS.poolClients, { pool, state: 'active' }, total - idle);
  board.set(METRICS.poolClients, { pool, state: 'idle' }, idle);
  board.set(METRICS.poolMax, { pool }, max);
  board.set(METRICS.poolWaiting, { pool }, waiting);
}
