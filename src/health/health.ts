/**
 * Whether messages are safe now, as data and over HTTP: for a readiness probe, an operator, or a deploy that waits. `HealthMonitor` derives
 * it from facts that are already collected; a request for health never waits for the database.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bad, optionGroup, refuseUnknown, show } from '../core/options.ts';
import type { JournalState } from '../journal/port.ts';
import type { PoolState } from '../telemetry/sources.ts';
import type { SaveRate } from './save-rate.ts';

/** `degraded`: nothing is lost, but a safeguard against a loss is missing. */
export type HealthStatus = 'healthy' | 'degraded' | 'failing';

/** Why the status is not `healthy`. */
export type HealthReason =
  /** `close()` was called: this instance takes no new streams. Failing. */
  | 'closing'
  /** A message was lost in the last 5 minutes. Failing. */
  | 'message-lost'
  /** A message had no result in time, in the last 5 minutes. Degraded: it may still arrive. */
  | 'message-missing'
  /** In the last 5 minutes the captured bodies of live streams took too much memory, and the largest were cut. Degraded. */
  | 'answers-cut'
  /** The store refused a message for good, in the last 5 minutes; it is in the journal's `refused/`. Degraded. */
  | 'message-refused'
  /** Messages were due in the last 5 minutes, or hour, and none of them is safe: a `saveRate` is 0. Degraded. */
  | 'nothing-saved'
  /** The store is away. Degraded while the journal, or without one the relay, takes the messages; else failing. */
  | 'store-away'
  /** The journal cannot be relied on: `journal.degraded` is the reason. Degraded. */
  | 'journal-degraded'
  /** The journal's directory does not outlive the container, and `ephemeral` was not set. Degraded. */
  | 'journal-ephemeral'
  /** Something in the journal's directory needs an operator: `journal.problems` lists it. Degraded. */
  | 'journal-attention'
  /** The relay does not receive the streams of this instance, so no other instance can finish them. Degraded. */
  | 'relay-away';

/** The state of saving now. Dates become ISO 8601 in JSON. */
export interface Health {
  /** The worst status of all reasons. */
  readonly status: HealthStatus;
  /** Why it is not `healthy`; empty when healthy. */
  readonly reasons: readonly HealthReason[];
  /** `undefined` without a store. */
  readonly store: StoreHealth | undefined;
  /** Number of saves without a result. */
  readonly pending: number;
  /** Age of the oldest save without a result; 0 when none is pending. */
  readonly oldestPendingSeconds: number;
  /** Shares of messages that are safe, counted as in the durability objective. */
  readonly saveRate: SaveRate;
  /** `undefined` without a journal. */
  readonly journal: HealthOfJournal | undefined;
  /** `undefined` without a relay. */
  readonly relay: HealthOfRelay | undefined;
  /** The connection pool that saves use; `undefined` where the store does not report it. */
  readonly pool: PoolState | undefined;
  /** Estimated memory of the captured bodies of live streams, and its limit; `undefined` without a store. */
  readonly capture: CaptureHealth | undefined;
}

/** Memory of the captured bodies of live streams. */
export interface CaptureHealth {
  readonly bytes: number;
  readonly maxBytes: number;
}

/** The state of the store, from the last call or probe and from the circuit breaker. */
export interface StoreHealth {
  /** Whether the last call or probe succeeded; `undefined` before the first one. */
  readonly reachable: boolean | undefined;
  /** `open`: the store failed, and is tried again with growing waits. */
  readonly circuit: 'closed' | 'open';
  readonly lastSuccess: Date | undefined;
  readonly lastFailure: { readonly at: Date; readonly errorType: string } | undefined;
}

/** The state of the journal: its content, its capacity, and what is wrong with it. */
export interface HealthOfJournal {
  readonly entries: number;
  readonly bytes: number;
  readonly capacityBytes: number;
  /** Age of the oldest entry that waits for the store; 0 when none waits. */
  readonly oldestEntrySeconds: number;
  readonly degraded: string | undefined;
  readonly fileSystem: JournalState['fileSystem'];
  /** Problems that need an operator, with the count of each; empty when there are none. */
  readonly problems: NonNullable<JournalState['problems']>;
}

/** The relay, through which other instances resume and finish the streams of this one. */
export interface HealthOfRelay {
  /** True: the engine answers, and this instance holds its lease. */
  readonly up: boolean;
  /** How long bytes or states of streams have been missing in the relay; 0 when nothing is missing. */
  readonly lagSeconds: number;
  /** Streams of this instance that are being sent to the relay. */
  readonly streams: number;
  /** Bytes of ended bodies that wait in memory for the relay, 64 MiB at most. */
  readonly endedBytes: number;
  /** Ended streams that were dropped because too many waited, since the start: no other instance can resume or finish them. */
  readonly dropped: number;
  /** With `ahead`: streams of which bytes were sent to the client before the relay had them, since the start. */
  readonly unconfirmed: number;
}

/** Options of `healthHandler()`. */
export interface HealthHandlerOptions {
  /**
   * Whether the response contains more than the status: counts, error types, the size of the journal. Default true. Give `false`, or a
   * function that returns false, for public addresses.
   */
  readonly details?: boolean | ((req: IncomingMessage) => boolean);
}

/**
 * An Express or Node handler that answers with the health as JSON: 200 while messages are safe (`healthy` and `degraded`), 503 when
 * `failing`. Degraded is not 503: if an orchestrator took every replica out of service while the database is away, a delay would become an
 * outage. Throws `bad-option`. A `details` that throws counts as false.
 */
export function createHealthHandler(
  health: () => Health,
  options: HealthHandlerOptions = {},
): (req: IncomingMessage, res: ServerResponse) => void {
  refuseUnknown('healthHandler()', optionGroup('options', options), ['details']);
  const { details = true } = options;
  if (typeof details !== 'boolean' && typeof details !== 'function') {
    throw bad(
      `\`details\` must be true, false or a function (req) => boolean, not ${show(details)}`,
    );
  }
  return (req, res) => {
    const now = health();
    const { status } = now;
    res.statusCode = status === 'failing' ? 503 : 200;
    res.setHeader('Content-Type', 'application/json; charset=utf-8');
    res.setHeader('Cache-Control', 'no-store');
    res.end(`${JSON.stringify(wantsDetails(details, req) ? now : { status })}\n`);
  };
}

function wantsDetails(
  details: boolean | ((req: IncomingMessage) => boolean),
  req: IncomingMessage,
): boolean {
  if (typeof details === 'boolean') return details;
  try {
    return details(req) === true;
  } catch {
    // An error of the app's function shows no details; the status is still answered.
    return false;
  }
}
