/** The status of an instance: its saves, streams, pools and failures, read on request from facts that are already collected. */
import { hostname } from 'node:os';
import { VERSION } from '../core/version.ts';
import type { Health, HealthReason } from '../health/health.ts';
import type { SaveCounts } from '../health/save-rate.ts';
import type { HealthMonitor } from '../health/monitor.ts';
import type { PoolWatch, WatchedUse } from '../pool-watch/watch.ts';
import type { Environment } from '../stream/lifecycle/stream.ts';
import type { RecentFailure, RecentFailures } from './failures.ts';
import { liveStreamsOf, type LiveStreams } from './live-streams.ts';
import { type Advice, codeInWords, placeInWords, REASONS } from './sentences.ts';

/** The status of one instance now. Dates become ISO 8601 in JSON. */
export interface Status {
  readonly at: Date;
  readonly instance: StatusInstance;
  readonly health: Health;
  /** The reasons of the health in words, with the alert whose runbook says what to do. */
  readonly reasons: readonly StatusReason[];
  /** Half minutes of the last hour in which something was counted, oldest first. */
  readonly history: readonly SaveCounts[];
  readonly streams: LiveStreams;
  /** Pools that `watchPool()` watches. */
  readonly pools: readonly WatchedUse[];
  /** The last kinds of failures, newest first, at most 30. */
  readonly failures: readonly RecentFailure[];
  /** `undefined` without a relay. */
  readonly relay: StatusRelay | undefined;
}

/** Identifies the process. */
export interface StatusInstance {
  /** The version of lastchunk. */
  readonly version: string;
  readonly node: string;
  readonly host: string;
  readonly pid: number;
  readonly startedAt: Date;
  /** Where the store is, without a password; `undefined` for a store of the app's own. */
  readonly store: string | undefined;
  /** The journal's directory; `undefined` without one. */
  readonly journal: string | undefined;
}

/** Why the instance is not healthy, in words. */
export interface StatusReason extends Advice {
  readonly reason: HealthReason;
}

/** The state of the relay beyond its health. */
export interface StatusRelay {
  /** The name under which this instance holds its lease; `undefined` while it holds none. */
  readonly lease: string | undefined;
  /** Ids of streams of other instances that have readers here. */
  readonly following: readonly string[];
}

/** An alert of the rules, as the status shows it. Prometheus evaluates it, not this process. */
export interface StatusAlert {
  readonly name: string;
  readonly severity: 'critical' | 'warning' | 'info';
  readonly summary: string;
  /** In PromQL. */
  readonly expr: string;
  /** How long `expr` must hold, as a PromQL duration; `undefined`: the alert fires at once. */
  readonly wait: string | undefined;
}

/** The status in a response: with the parts that do not change while the process runs. */
export interface StatusAnswer extends Status {
  /** Required shares of messages, 0 to 1: those whose save must not fail, and those that must be saved within 2.5 s. */
  readonly objectives: { readonly saved: number; readonly timely: number };
  readonly alerts: readonly StatusAlert[];
}

/** The sources of the status. */
export interface StatusSources {
  readonly monitor: HealthMonitor;
  readonly failures: RecentFailures;
  readonly pools: PoolWatch;
  readonly environment: Pick<Environment, 'live' | 'relay'>;
  readonly places: Pick<StatusInstance, 'store' | 'journal'>;
}

/** Reads the status of one instance. */
export class InstanceStatus {
  readonly #sources: StatusSources;

  constructor(sources: StatusSources) {
    this.#sources = sources;
  }

  /** The status now; `conversations`: live streams with their conversation. */
  read(conversations: boolean): Status {
    const { monitor, failures, pools, environment, places } = this.#sources;
    const { live, relay } = environment;
    const now = monitor.health();
    return {
      at: new Date(),
      instance: { ...processFacts(), ...places },
      health: now,
      reasons: now.reasons.map((reason) => ({ reason, ...adviceOf(reason, now) })),
      history: monitor.history(),
      streams: liveStreamsOf(live, relay, conversations),
      pools: pools.uses().map(withShortPlaces),
      failures: failures.list(),
      relay: relay && { lease: relay.lease, following: relay.following() },
    };
  }
}

function withShortPlaces({ holders, ...use }: WatchedUse): WatchedUse {
  const short = holders.map(({ place, ...held }) => ({ place: placeInWords(place), ...held }));
  return { ...use, holders: short };
}

function processFacts(): Omit<StatusInstance, 'store' | 'journal'> {
  return {
    version: VERSION,
    node: process.version,
    host: hostname(),
    pid: process.pid,
    startedAt: new Date(Date.now() - process.uptime() * 1000),
  };
}

/** A reason in words, with details from the health. */
function adviceOf(reason: HealthReason, { store, journal, relay }: Health): Advice {
  const { words, runbook } = REASONS[reason];
  if (reason === 'store-away') {
    const code = store?.lastFailure?.errorType;
    const what = code === undefined ? words : `${words} (${codeInWords(code)})`;
    if (isTaking(journal)) return { words: `${what}; messages wait in the journal`, runbook };
    const place =
      journal === undefined && relay?.up === true
        ? 'messages wait in the relay'
        : 'no journal takes messages meanwhile';
    return { words: `${what}; ${place}`, runbook: 'LastchunkStoreDown' };
  }
  if (reason === 'journal-degraded') return { words: `${words}: ${journal?.degraded}`, runbook };
  if (reason !== 'journal-attention') return { words, runbook };
  return { words: `${words}: ${Object.keys(journal?.problems ?? {}).join(', ')}`, runbook };
}

function isTaking(journal: Health['journal']): boolean {
  return journal !== undefined && journal.degraded === undefined;
}
