/** Derives the health from the results of saves, from saver, journal and relay, and from a background probe of the store. */
import { errorTypeOf } from '../core/errors.ts';
import type { JournalState } from '../journal/port.ts';
import type { JournaledMessage, Observer, SaveReport } from '../core/observer.ts';
import type { RelayReport } from '../relay/settings.ts';
import type { SavesInFlight } from '../telemetry/stream-metrics.ts';
import type { PoolState } from '../telemetry/sources.ts';
import type {
  CaptureHealth,
  Health,
  HealthOfRelay,
  HealthReason,
  HealthStatus,
  HealthOfJournal,
  StoreHealth,
} from './health.ts';
import { type SaveCounts, SaveRates } from './save-rate.ts';

/** The saver's facts. Times are epoch milliseconds, 0 for never or none. */
export interface SaverFacts {
  readonly pending: number;
  readonly oldestPendingMs: number;
  readonly circuit: 'closed' | 'open';
  readonly lastFailure?: { readonly atMs: number; readonly errorType: string } | undefined;
  readonly lastSuccessMs: number;
}

/** The sources of the facts. */
export interface HealthSources {
  /** Absent without a store. */
  readonly saver?: (() => SaverFacts) | undefined;
  /** Absent without a journal. */
  readonly journal?: (() => JournalState | undefined) | undefined;
  /** Absent without a relay. */
  readonly relay?: (() => RelayReport | undefined) | undefined;
  readonly closing?: (() => boolean) | undefined;
  /** Saves without a result, the app's own included; default: those of the saver. */
  readonly pending?: (() => SavesInFlight) | undefined;
  readonly pool?: (() => PoolState | undefined) | undefined;
  /** Memory of the captured bodies of live streams. */
  readonly captured?: CaptureHealth | undefined;
  /**
   * Pings the store; rejects when it does not answer. A request for health runs it in the background, at most every 5 s, one at a time; the
   * next health contains its result.
   */
  readonly probe?: (() => Promise<unknown>) | undefined;
}

/** How long a loss is reported: long enough for an orchestrator that polls every minute. */
const LOSS_SHOWS_MS = 5 * 60_000;

const PROBE_EVERY_MS = 5_000;

const FAILING: readonly HealthReason[] = ['closing', 'message-lost'];

/** An observer that records the facts for the health. */
export class HealthMonitor implements Observer {
  readonly #sources: HealthSources;
  readonly #probe: StoreProbe;
  readonly #rates = new SaveRates();
  #lastLossMs = Number.NEGATIVE_INFINITY;
  #lastMissingMs = Number.NEGATIVE_INFINITY;
  #lastCutMs = Number.NEGATIVE_INFINITY;
  #lastRefusedMs = Number.NEGATIVE_INFINITY;
  #onReachable: (() => void) | undefined;

  constructor(sources: HealthSources = {}) {
    this.#sources = sources;
    this.#probe = new StoreProbe(sources.probe, () => this.#tellReachable());
  }

  /** A failed attempt cancels `whenReachable`: it opens the circuit, whose end is reported elsewhere. */
  onAttempt(errorType: string | undefined): void {
    if (errorType === undefined) this.#tellReachable();
    else this.#onReachable = undefined;
  }

  onSave(report: SaveReport): void {
    if (report.result === 'lost') this.#lastLossMs = performance.now();
    if (report.result === 'missing') this.#lastMissingMs = performance.now();
    this.#rates.onSave(report);
  }

  /** Captured bodies of live streams were cut because of their memory. */
  noteCut(): void {
    this.#lastCutMs = performance.now();
  }

  onReplayed(result: 'saved' | 'refused', _message: JournaledMessage): void {
    this.#noteRefusal(result);
    this.#rates.onReplayed(result);
  }

  onRecovered(result: 'saved' | 'refused', _message: JournaledMessage): void {
    this.#noteRefusal(result);
    this.#rates.onRecovered(result);
  }

  /** A function that pings the store and records the result; `undefined` where the store cannot be pinged. */
  asker(): (() => Promise<void>) | undefined {
    return this.#sources.probe === undefined ? undefined : () => this.#probe.ask();
  }

  /** Calls `tell` once, when the store answers next; not at all if a save fails before. */
  whenReachable(tell: () => void): void {
    this.#onReachable = tell;
  }

  /** The health now. Starts a background probe of the store, if the last one started at least 5 s ago. */
  health(): Health {
    const sources = this.#sources;
    // Read before the probe, which waits for a connection itself.
    const pool = sources.pool?.();
    const store = this.store();
    const now = Date.now();
    const saver = sources.saver?.();
    const journal = sources.journal?.();
    const pending = sources.pending?.();
    const relay = sources.relay?.();
    const reasons = this.#reasons(store, journal);
    if (relay?.isUp === false) reasons.push('relay-away');
    const takesMessages = isReliable(journal) || (journal === undefined && relay?.isUp === true);
    return {
      status: statusOf(reasons, takesMessages),
      reasons,
      store,
      pending: pending?.count ?? saver?.pending ?? 0,
      oldestPendingSeconds: ageSeconds(pending?.oldestMs ?? saver?.oldestPendingMs ?? 0, now),
      saveRate: this.#rates.now(),
      journal: journal === undefined ? undefined : journalHealth(journal, now),
      relay: relay && relayHealth(relay),
      pool,
      capture: sources.captured && captureHealth(sources.captured),
    };
  }

  /** The counts of the last hour, for each half minute. */
  history(): readonly SaveCounts[] {
    return this.#rates.history();
  }

  /** The state of the store now; starts a background probe as `health()` does. `undefined` without a store. */
  store(): StoreHealth | undefined {
    this.#probe.start();
    const saver = this.#sources.saver?.();
    return saver === undefined ? undefined : storeHealth(saver, this.#probe.last());
  }

  #tellReachable(): void {
    const tell = this.#onReachable;
    this.#onReachable = undefined;
    tell?.();
  }

  #noteRefusal(result: 'saved' | 'refused'): void {
    if (result === 'refused') this.#lastRefusedMs = performance.now();
  }

  #reasons(store: StoreHealth | undefined, journal: JournalState | undefined): HealthReason[] {
    // Monotonic, because the wall clock may be set.
    const monotonicMs = performance.now();
    const reasons: HealthReason[] = [];
    if (this.#sources.closing?.() === true) reasons.push('closing');
    if (monotonicMs - this.#lastLossMs < LOSS_SHOWS_MS) reasons.push('message-lost');
    if (monotonicMs - this.#lastMissingMs < LOSS_SHOWS_MS) reasons.push('message-missing');
    if (monotonicMs - this.#lastCutMs < LOSS_SHOWS_MS) reasons.push('answers-cut');
    if (monotonicMs - this.#lastRefusedMs < LOSS_SHOWS_MS) reasons.push('message-refused');
    if (Object.values(this.#rates.now()).includes(0)) reasons.push('nothing-saved');
    if (store?.reachable === false) reasons.push('store-away');
    if (journal?.degraded !== undefined) reasons.push('journal-degraded');
    if (journal !== undefined && isUndeclared(journal)) reasons.push('journal-ephemeral');
    if (Object.keys(journal?.problems ?? {}).length > 0) reasons.push('journal-attention');
    return reasons;
  }
}

/** The result of the last probe. */
interface ProbeResult {
  readonly ok: boolean;
  readonly atMs: number;
  /** '' when it succeeded. */
  readonly errorType: string;
}

/** Pings the store in the background, at most every 5 s, one at a time. */
class StoreProbe {
  readonly #question: (() => Promise<unknown>) | undefined;
  readonly #onAnswer: () => void;
  #last: ProbeResult | undefined;
  #running: Promise<void> | undefined;
  #startedMs = Number.NEGATIVE_INFINITY;

  constructor(question: (() => Promise<unknown>) | undefined, onAnswer: () => void) {
    this.#question = question;
    this.#onAnswer = onAnswer;
  }

  last(): ProbeResult | undefined {
    return this.#last;
  }

  start(): void {
    const isEarly = performance.now() - this.#startedMs < PROBE_EVERY_MS;
    if (this.#question === undefined || this.#running !== undefined || isEarly) return;
    this.ask().catch(() => {
      // The result is recorded; no caller waits for it.
    });
  }

  /** Resolves when the store answers, rejects with its error; while a ping runs, returns the promise of that one. */
  ask(): Promise<void> {
    if (this.#running === undefined) {
      this.#startedMs = performance.now();
      this.#running = this.#run().finally(() => (this.#running = undefined));
    }
    return this.#running;
  }

  async #run(): Promise<void> {
    try {
      await this.#question?.();
    } catch (error) {
      this.#last = { ok: false, atMs: Date.now(), errorType: errorTypeOf(error) };
      throw error;
    }
    this.#last = { ok: true, atMs: Date.now(), errorType: '' };
    this.#onAnswer();
  }
}

function isReliable(journal: JournalState | undefined): boolean {
  return journal !== undefined && journal.degraded === undefined;
}

function statusOf(reasons: readonly HealthReason[], takesMessages: boolean): HealthStatus {
  if (reasons.some((reason) => FAILING.includes(reason))) return 'failing';
  if (reasons.includes('store-away') && !takesMessages) return 'failing';
  return reasons.length === 0 ? 'healthy' : 'degraded';
}

function storeHealth(saver: SaverFacts, probed: ProbeResult | undefined): StoreHealth {
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

function relayHealth({ isUp, lagMs, ...facts }: RelayReport): HealthOfRelay {
  return { up: isUp, lagSeconds: lagMs / 1000, ...facts };
}

function captureHealth({ bytes, maxBytes }: CaptureHealth): CaptureHealth {
  return { bytes, maxBytes };
}

function journalHealth(journal: JournalState, now: number): HealthOfJournal {
  const { entries, bytes, capacityBytes, degraded, fileSystem, problems = {} } = journal;
  const oldestEntrySeconds = ageSeconds(journal.oldestEntryMs, now);
  return { entries, bytes, capacityBytes, oldestEntrySeconds, degraded, fileSystem, problems };
}

/** These file systems are deleted with their container, and with them the messages that a killed process left in the journal. */
function isUndeclared(journal: JournalState): boolean {
  const { fileSystem, ephemeral } = journal;
  return !ephemeral && (fileSystem === 'overlay' || fileSystem === 'tmpfs');
}

function ageSeconds(sinceMs: number, now: number): number {
  return sinceMs === 0 ? 0 : Math.max(0, now - sinceMs) / 1000;
}
