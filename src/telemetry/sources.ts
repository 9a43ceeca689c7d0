/** Gauges whose values other parts keep; they are read at each scrape. */
// Not the global `performance`, which test suites replace with a fake clock.
import { performance } from 'node:perf_hooks';
import type { JournalState } from '../journal/port.ts';
import type { StreamView } from '../core/observer.ts';
import { VERSION } from '../core/version.ts';
import { METRICS } from '../core/names/index.ts';
import { SET_ASIDE } from '../core/names/labels.ts';
import type { MetricRegistry } from './metric-registry.ts';

/** A pool of connections, as it is now. */
export interface PoolState {
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
}

/** The last known state of the store. */
export interface StoreState {
  /** `undefined` while nothing was asked of it. */
  readonly reachable: boolean | undefined;
  readonly circuit: 'closed' | 'open';
}

/** The relay, as an instance sees it. */
export interface RelayGauges {
  readonly isUp: boolean;
  readonly lagMs: number;
  readonly dropped: number;
  readonly unconfirmed: number;
}

/** What is read at every scrape. Every member is optional; without it, its series do not exist. */
export interface RecorderSources {
  readonly journal?: (() => JournalState | undefined) | undefined;
  readonly store?: (() => StoreState | undefined) | undefined;
  readonly relay?: (() => RelayGauges | undefined) | undefined;
  readonly pool?: (() => PoolState | undefined) | undefined;
  /** Estimated memory of answers on their way. */
  readonly captureBytes?: (() => number) | undefined;
  /** The app's own pools, by the names it gave them. */
  readonly pools?: (() => Iterable<PoolState & { readonly name: string }>) | undefined;
  /** The stream's trace, if it is sampled: the exemplar of its observations. */
  readonly sampledTraceIdOf?: ((stream: StreamView) => string | undefined) | undefined;
}

/** Reads the sources and sets their gauges. Throws what a source throws. */
export function readSources(registry: MetricRegistry, sources: RecorderSources): void {
  const journal = sources.journal?.();
  registry.set(
    METRICS.buildInfo,
    { version: VERSION, node: process.version, journal: journal?.fileSystem ?? 'off' },
    1,
  );
  registry.set(METRICS.processStart, {}, performance.timeOrigin / 1000);
  registry.set(METRICS.captureBytes, {}, sources.captureBytes?.() ?? 0);
  if (journal !== undefined) {
    registry.set(METRICS.journalEntries, {}, journal.entries);
    registry.set(METRICS.journalBytes, {}, journal.bytes);
    registry.set(METRICS.journalCapacity, {}, journal.capacityBytes);
    registry.set(METRICS.journalOldestEntry, {}, journal.oldestEntryMs / 1000);
    registry.set(METRICS.journalDegraded, {}, journal.degraded === undefined ? 0 : 1);
    registry.set(METRICS.journalCorrupt, {}, journal.corruptRecords);
    for (const kind of SET_ASIDE) {
      registry.set(METRICS.journalSetAside, { kind }, journal.setAside?.[kind].files ?? 0);
      registry.set(METRICS.journalExpired, { kind }, journal.setAside?.[kind].expired ?? 0);
    }
  }
  const store = sources.store?.();
  if (store !== undefined) {
    registry.set(METRICS.circuitOpen, {}, store.circuit === 'open' ? 1 : 0);
    const { reachable } = store;
    if (reachable !== undefined) registry.set(METRICS.storeUp, {}, reachable ? 1 : 0);
  }
  const relay = sources.relay?.();
  if (relay !== undefined) {
    registry.set(METRICS.relayUp, {}, relay.isUp ? 1 : 0);
    registry.set(METRICS.relayLag, {}, relay.lagMs / 1000);
    registry.set(METRICS.relayDropped, {}, relay.dropped);
    registry.set(METRICS.relayUnconfirmed, {}, relay.unconfirmed);
  }
  const own = sources.pool?.();
  if (own !== undefined) readPool(registry, 'lastchunk', own);
  for (const pool of sources.pools?.() ?? []) readPool(registry, pool.name, pool);
}

function readPool(
  registry: MetricRegistry,
  pool: string,
  { total, idle, waiting, max }: PoolState,
): void {
  registry.set(METRICS.poolClients, { pool, state: 'active' }, total - idle);
  registry.set(METRICS.poolClients, { pool, state: 'idle' }, idle);
  registry.set(METRICS.poolMax, { pool }, max);
  registry.set(METRICS.poolWaiting, { pool }, waiting);
}
