/**
 * Whether messages are safe right now, as data: for a readiness probe, an operator, a deploy that waits. It is made
 * from facts that are known anyway; a request for health never waits for the database.
 */
import type { JournalState } from '../journal/port.ts';
import type { Observer } from '../core/observer.ts';
import type { PendingSaves } from '../telemetry/save-metrics.ts';
import type { PoolState } from '../telemetry/sources.ts';
import { createProbe, type Probed } from './probe.ts';
import { createSaveRates, type SaveRate } from './save-rate.ts';

/** `degraded`: nothing is lost, but less stands between you and a loss than should. */
export type HealthStatus = 'healthy' | 'degraded' | 'failing';

/** Why the status is not `healthy`. */
export type HealthReason =
  /** `close()` was called: send no more streams here. Failing. */
  | 'closing'
  /** A message was lost in the last 5 minutes. Failing. */
  | 'message-lost'
  /** A message had no result in time, in the last 5 minutes. Degraded: it may still arrive. */
  | 'message-missing'
  /** The store is away. Degraded while the journal takes the messages, failing otherwise. */
  | 'store-away'
  /** The journal cannot be relied on: `journal.degraded` says why. Degraded. */
  | 'journal-degraded'
  /** The journal's directory does not outlive the container, and `ephemeral` was not set. Degraded. */
  | 'journal-ephemeral';

/** What is known of the saving of messages now. Dates become ISO 8601 in JSON. */
export interface Health {
  readonly status: HealthStatus;
  readonly reasons: readonly HealthReason[];
  /** `undefined` without a store. */
  readonly store: StoreHealth | undefined;
  /** Saves without a result, and the age of the oldest; 0 when none is pending. */
  readonly pending: number;
  readonly oldestPendingSeconds: number;
  /** Shares of messages that are safe, by the counting of the durability objective. */
  readonly saveRate: SaveRate;
  /** `undefined` without a journal. */
  readonly journal: JournalHealth | undefined;
  /** The connections that saves go through; `undefined` where the store does not tell. */
  readonly pool: PoolState | undefined;
}

export interface StoreHealth {
  /** What the last call said; `undefined` while nothing was sent to it. */
  readonly reachable: boolean | undefined;
  /** `open`: the store did not work, and is tried again with growing waits. */
  readonly circuit: 'closed' | 'open';
  readonly lastSuccess: Date | undefined;
  readonly lastFailure: { readonly at: Date; readonly errorType: string } | undefined;
}

export interface JournalHealth {
  readonly entries: number;
  readonly bytes: number;
  readonly capacityBytes: number;
  /** Age of the oldest entry that waits for the store; 0 when none waits. */
  readonly oldestEntrySeconds: number;
  readonly degraded: string | undefined;
  readonly fileSystem: JournalState['fileSystem'];
}

/** The saver's facts. Times are epoch milliseconds, 0 for never or none. */
export interface SaverFacts {
  readonly pending: number;
  readonly oldestPendingMs: number;
  readonly circuit: 'closed' | 'open';
  readonly lastFailure?: { readonly atMs: number; readonly errorType: string } | undefined;
  readonly lastSuccessMs: number;
}

/** Where the facts come from. */
export interface HealthSources {
  /** Absent without a store. */
  readonly saver?: (() => SaverFacts) | undefined;
  /** Absent without a journal. */
  readonly journal?: (() => JournalState | undefined) | undefined;
  readonly closing?: (() => boolean) | undefined;
  /** Saves without a result, the app's own included; default what the saver says. */
  readonly pending?: (() => PendingSaves) | undefined;
  readonly pool?: (() => PoolState | undefined) | undefined;
  /**
   * Asks the store for a sign of life; rejects when there is none. Run in the background when somebody asks for health,
   * at most every 5 s, never two at once; the answer shows in the next health.
   */
  readonly probe?: (() => Promise<unknown>) | undefined;
}

/** An observer that remembers what health has to know. */
export interface HealthMonitor extends Observer {
  health(): Health;
}

/** A loss stays in the health for so long: an orchestrator that polls every minute still sees it. */
const LOSS_SHOWS_MS = 5 * 60_000;

const FAILING: readonly HealthReason[] = ['closing', 'message-lost'];

export function createHealth(sources: HealthSources = {}): HealthMonitor {
  const probe = createProbe(sources.probe);
  const rates = createSaveRates();
  let lastLossMs = Number.NEGATIVE_INFINITY;
  let lastMissingMs = Number.NEGATIVE_INFINITY;
  return {
    onSave(report) {
      if (report.result === 'lost') lastLossMs = performance.now();
      if (report.result === 'missing') lastMissingMs = performance.now();
      rates.onSave?.(report);
    },
    onReplayed: (result, message) => rates.onReplayed?.(result, message),
    onRecovered: (result, message) => rates.onRecovered?.(result, message),
    health() {
      // Before the probe, which is about to wait for a connection itself.
      const pool = sources.pool?.();
      probe.ask();
      const now = Date.now();
      // The wall clock may be set; five minutes are five minutes.
      const monotonicMs = performance.now();
      const saver = sources.saver?.();
      const journal = sources.journal?.();
      const pending = sources.pending?.();
      const store = saver === undefined ? undefined : storeHealth(saver, probe.last());
      const reasons: HealthReason[] = [];
      if (sources.closing?.() === true) reasons.push('closing');
      if (monotonicMs - lastLossMs < LOSS_SHOWS_MS) reasons.push('message-lost');
      if (monotonicMs - lastMissingMs < LOSS_SHOWS_MS) reasons.push('message-missing');
      if (store?.reachable === false) reasons.push('store-away');
      if (journal?.degraded !== undefined) reasons.push('journal-degraded');
      if (journal !== undefined && isUndeclared(journal)) reasons.push('journal-ephemeral');
      return {
        status: statusOf(reasons, journal),
        reasons,
        store,
        pending: pending?.count ?? saver?.pending ?? 0,
        oldestPendingSeconds: ageSeconds(pending?.oldestMs ?? saver?.oldestPendingMs ?? 0, now),
        saveRate: rates.now(),
        journal: journal === undefined ? undefined : journalHealth(journal, now),
        pool,
      };
    },
  };
}

function statusOf(
  reasons: readonly HealthReason[],
  journal: JournalState | undefined,
): HealthStatus {
  const takesMessages = journal !== undefined && journal.degraded === undefined;
  if (reasons.some((reason) => FAILING.includes(reason))) return 'failing';
  if (reasons.includes('store-away') && !takesMessages) return 'failing';
  return reasons.length === 0 ? 'healthy' : 'degraded';
}

function storeHealth(saver: SaverFacts, probed: Probed | undefined): StoreHealth {
  const { lastSuccessMs, lastFailure, circuit } = saver;
  const lastCallMs = Math.max(lastSuccessMs, lastFailure?.atMs ?? 0);
  const newer = probed !== undefined && probed.atMs >= lastCallMs ? probed : undefined;
  const successMs = newer?.ok === true ? newer.atMs : lastSuccessMs;
  const failure = newer?.ok === false ? newer : lastFailure;
  const said = lastCallMs === 0 ? undefined : circuit === 'closed';
  return {
    reachable: newer?.ok ?? said,
    circuit,
    lastSuccess: successMs === 0 ? undefined : new Date(successMs),
    lastFailure: failure && { at: new Date(failure.atMs), errorType: failure.errorType },
  };
}

function journalHealth(journal: JournalState, now: number): JournalHealth {
  const { entries, bytes, capacityBytes, degraded, fileSystem } = journal;
  const oldestEntrySeconds = ageSeconds(journal.oldestEntryMs, now);
  return { entries, bytes, capacityBytes, oldestEntrySeconds, degraded, fileSystem };
}

/** In a container these layers go with the container, and with them what SIGKILL left in the journal. */
function isUndeclared(journal: JournalState): boolean {
  const { fileSystem, ephemeral } = journal;
  return !ephemeral && (fileSystem === 'overlay' || fileSystem === 'tmpfs');
}

function ageSeconds(sinceMs: number, now: number): number {
  return sinceMs === 0 ? 0 : Math.max(0, now - sinceMs) / 1000;
}
