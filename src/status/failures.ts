/**
 * The latest failures, for the status page: one entry for each kind, route and detail, with its count. Limited in size. Entries contain
 * sentences and codes of lastchunk or of the database; no text of a user or a model.
 */
import { describeError } from '../core/error-words.ts';
import { errorTypeOf } from '../core/errors.ts';
import type {
  FinishRefusal,
  HoldRelease,
  InternalErrorPlace,
  JournaledMessage,
  Observer,
  PoolFinding,
  SaveReport,
  StreamView,
} from '../core/observer.ts';
import { codeInWords, type FailureKind, FAILURE_WORDS, placeInWords } from './sentences.ts';

/** When there is one more, the oldest is removed. */
const KINDS_AT_MOST = 30;

/** One kind of failure, counted since the start of the process. */
export interface RecentFailure {
  readonly kind: FailureKind;
  /** The failure in a sentence. */
  readonly words: string;
  /** Further facts: a code in words, or the line of the app that holds a connection. */
  readonly detail: string | undefined;
  /** As in the metrics; `undefined` where the failure belongs to no route. */
  readonly route: string | undefined;
  /** How often it occurred. */
  readonly count: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
  /** The alert whose runbook says what to do. */
  readonly runbook: string;
}

interface Entry {
  readonly kind: FailureKind;
  readonly route: string | undefined;
  readonly detail: string | undefined;
  readonly firstMs: number;
  count: number;
  lastMs: number;
}

/** An observer that records the latest kinds of failures. */
export class RecentFailures implements Observer {
  /** In the order of their last occurrence, the newest at the end. */
  readonly #entries = new Map<string, Entry>();

  /** The recorded failures, the newest first. */
  list(): RecentFailure[] {
    return [...this.#entries.values()].toReversed().map(({ kind, firstMs, lastMs, ...entry }) => ({
      kind,
      ...FAILURE_WORDS[kind],
      ...entry,
      firstAt: new Date(firstMs),
      lastAt: new Date(lastMs),
    }));
  }

  onSave({ result, route, errorType }: SaveReport): void {
    if (result === 'saved') return;
    // The error of the store is recorded by `onAttempt`.
    const code = result === 'journaled' ? undefined : errorType;
    this.#note(result, route, code && codeInWords(code));
  }

  onReplayed(result: 'saved' | 'refused', { route }: JournaledMessage): void {
    if (result === 'refused') this.#note('refused', route);
  }

  onRecovered(result: 'saved' | 'refused', message: JournaledMessage): void {
    this.onReplayed(result, message);
  }

  onAttempt(errorType: string | undefined): void {
    if (errorType !== undefined) this.#note('attempt', undefined, codeInWords(errorType));
  }

  onHold({ route }: StreamView, released: HoldRelease): void {
    if (released === 'unconfirmed') this.#note('unconfirmed', route);
  }

  onUnnamed({ route }: StreamView, error: unknown): void {
    this.#note('unnamed', route, describeError(error));
  }

  onMessage(
    { route }: StreamView,
    { unknownText, cut }: { readonly unknownText: boolean; readonly cut: boolean },
  ): void {
    if (unknownText) this.#note('unknown', route);
    if (cut) this.#note('cut', route);
  }

  onFinishRefused({ route }: StreamView, reason: FinishRefusal): void {
    this.#note('finish-refused', route, reason);
  }

  onPoolFinding({ kind, pool, place, route }: PoolFinding): void {
    this.#note(kind, route, `pool ${pool}, ${placeInWords(place)}`);
  }

  onInternalError(where: InternalErrorPlace, error: unknown): void {
    this.#note('internal', undefined, `${where}: ${describeError(error) ?? errorTypeOf(error)}`);
  }

  #note(kind: FailureKind, route: string | undefined, detail?: string): void {
    const key = JSON.stringify([kind, route, detail]);
    const lastMs = Date.now();
    const entry = this.#entries.get(key) ?? {
      kind,
      route,
      detail,
      firstMs: lastMs,
      count: 0,
      lastMs,
    };
    entry.count += 1;
    entry.lastMs = lastMs;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size <= KINDS_AT_MOST) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      return;
    }
  }
}
