/**
 * Whether messages are safe right now, as data and over HTTP: for a readiness probe, an operator, a deploy that waits.
 * `HealthMonitor` makes it from facts that are known anyway; a request for health never waits for the database.
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
  /** `close()` was called: send no more streams here. Failing. */
  | 'closing'
  /** A message was lost in the last 5 minutes. Failing. */
  | 'message-lost'
  /** A message had no result in time, in the last 5 minutes. Degraded: it may still arrive. */
  | 'message-missing'
  /** Answers on their way took too much memory in the last 5 minutes, and the largest were cut. Degraded. */
  | 'answers-cut'
  /** The store refused a message for good, in the last 5 minutes; it is in the journal's `refused/`. Degraded. */
  | 'message-refused'
  /** Messages were due in the last 5 minutes, or hour, and none of them is safe: a `saveRate` is 0. Degraded. */
  | 'nothing-saved'
  /** The store is away. Degraded while the journal takes the messages, failing otherwise. */
  | 'store-away'
  /** The journal cannot be relied on: `journal.degraded` says why. Degraded. */
  | 'journal-degraded'
  /** The journal's directory does not outlive the container, and `ephemeral` was not set. Degraded. */
  | 'journal-ephemeral'
  /** Something in the journal's directory needs an operator: `journal.problems` says what. Degraded. */
  | 'journal-attention'
  /** The relay does not get the streams of this instance, so no other instance can finish them. Degraded. */
  | 'relay-away';

/** The state of saving now. Dates become ISO 8601 in JSON. */
export interface Health {
  /** The worst of all reasons. */
  readonly status: HealthStatus;
  /** What is wrong; none when healthy. */
  readonly reasons: readonly HealthReason[];
  /** `undefined` without a store. */
  readonly store: StoreHealth | undefined;
  /** Saves without a result, and the age of the oldest; 0 when none is pending. */
  readonly pending: number;
  /** Age of the oldest of them. */
  readonly oldestPendingSeconds: number;
  /** Shares of messages that are safe, by the counting of the durability objective. */
  readonly saveRate: SaveRate;
  /** `undefined` without a journal. */
  readonly journal: HealthOfJournal | undefined;
  /** `undefined` without a relay. */
  readonly relay: HealthOfRelay | undefined;
  /** The connections that saves go through; `undefined` where the store does not tell. */
  readonly pool: PoolState | undefined;
  /** What answers on their way take in memory, estimated, and the bound of it; `undefined` without a store. */
  readonly capture: CaptureHealth | undefined;
}

/** Memory of what is kept of answers on their way. */
export interface CaptureHealth {
  readonly bytes: number;
  readonly maxBytes: number;
}

/** The store, as the last call and the circuit breaker saw it. */
export interface StoreHealth {
  /** What the last call said; `undefined` while nothing was sent to it. */
  readonly reachable: boolean | undefined;
  /** `open`: the store did not work, and is tried again with growing waits. */
  readonly circuit: 'closed' | 'open';
  readonly lastSuccess: Date | undefined;
  readonly lastFailure: { readonly at: Date; readonly errorType: string } | undefined;
}

/** The journal: how much it holds, and how much it can hold. */
export interface HealthOfJournal {
  readonly entries: number;
  readonly bytes: number;
  readonly capacityBytes: number;
  /** Age of the oldest entry that waits for the store; 0 when none waits. */
  readonly oldestEntrySeconds: number;
  readonly degraded: string | undefined;
  readonly fileSystem: JournalState['fileSystem'];
  /** What needs an operator, and how much of it there is; empty when nothing does. */
  readonly problems: NonNullable<JournalState['problems']>;
}

/** The relay, through which other instances resume and finish the streams of this one. */
export interface HealthOfRelay {
  /** The engine answers, and the lease of this instance is held. */
  readonly up: boolean;
  /** For how long it has lacked something; 0 when it lacks nothing. */
  readonly lagSeconds: number;
  /** Streams of this instance that are being sent to it. */
  readonly streams: number;
  /** Bytes of ended bodies that wait in memory until it has them, 64 MiB at most. */
  readonly endedBytes: number;
  /** Ended streams that were too many to wait, since the start: no other instance can resume or finish them. */
  readonly dropped: number;
  /** With `ahead`: streams of which something was sent before the relay had it, since the start. */
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
 * An Express or Node handler that answers with the health as JSON: 200 while messages are safe (`healthy` and
 * `degraded`), 503 when `failing`. Degraded is not 503: taking every replica out of service because the
 * database is away would turn a delay into an outage. Throws `bad-option`; a `details` that throws counts as no.
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
    // An error of the app's check opens nothing; the status is answered all the same.
    return false;
  }
}
