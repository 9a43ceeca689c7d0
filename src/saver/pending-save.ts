/**
 * One save in memory: its phase, its facts, and the two promises that callers wait for. One table says what each event does in
 * each phase; `PendingSaves` carries out the effects.
 */
import type { Clock } from '../core/clock.ts';
import type { Message, SaveResult } from '../core/message.ts';
import type { Save, SaveProgress } from '../core/save-port.ts';
import { type BatchItem, type LateStoreAnswer, SILENT, type StoreAnswer } from './store-client.ts';

/** Where a save stands. The first three have no result yet. */
export type SavePhase =
  /** It waits for a batch. */
  | 'queued'
  /** A batch with it is on its way to the store. */
  | 'sent'
  /** The store refused it, and the journal is asked to set it aside. */
  | 'refused'
  /** Its result is `journaled`; the batch on its way decides whether replay has to take over. */
  | 'journaled'
  /** Its result is `lost` or `missing`, and a batch with it is still on its way. */
  | 'given-up'
  /** It has a result, the store refused it since, and the journal is asked to set it aside. */
  | 'refused-late'
  /** The store has it, or the journal has it and replays it, or neither has it: nothing more is done here. */
  | 'released';

/** What can happen to a save. */
export type SaveEvent =
  | 'sent'
  /** The store committed it, in time or late. */
  | 'committed'
  /** Its batch was not stored, or not answered in time. */
  | 'failed'
  /** A call that was not answered in time failed in the end. */
  | 'failed-late'
  | 'refused'
  /** Its fsync is done. */
  | 'synced'
  /** The refused message is in the journal's `refused/`. */
  | 'set-aside'
  /** The refused message is on disk with a later save of its stream. */
  | 'set-aside-with-later'
  | 'not-set-aside'
  /** `missingAfterMs` is over. */
  | 'deadline-passed'
  /** Too much waits in memory, and this is the oldest. */
  | 'memory-full'
  /** The saver ends. */
  | 'closed';

/** What a transition does beside changing the phase. */
export type SaveEffect =
  /** The one result. `lost-or-missing`: `missing` if the store never answered. */
  | 'result-saved'
  | 'result-journaled'
  | 'result-lost'
  | 'result-lost-or-missing'
  /** A result after `missing` or `lost`, reported once. */
  | 'late-saved'
  /** The same, where `missing` is the only result that it changes. */
  | 'late-journaled-if-missing'
  | 'late-lost-if-missing'
  /** A journaled message got its final answer from the store while it was still in memory. */
  | 'replayed-saved'
  | 'replayed-refused'
  /** The records of its stream: settled, left to replay, or no longer this save's. */
  | 'settle-log'
  | 'hand-over'
  | 'let-go'
  /** An fsync, if the store is known to be away. */
  | 'journal-if-away'
  | 'set-aside';

interface Transition {
  readonly to: SavePhase;
  readonly effects: readonly SaveEffect[];
}

/** What each event does in each phase; what is not listed changes nothing. */
export const TRANSITIONS: Readonly<
  Record<SavePhase, Readonly<Partial<Record<SaveEvent, Transition>>>>
> = {
  queued: {
    sent: { to: 'sent', effects: [] },
    committed: { to: 'released', effects: ['settle-log', 'result-saved'] },
    'failed-late': { to: 'queued', effects: ['journal-if-away'] },
    synced: { to: 'released', effects: ['result-journaled', 'hand-over'] },
    'deadline-passed': { to: 'released', effects: ['result-lost-or-missing', 'hand-over'] },
    'memory-full': { to: 'released', effects: ['result-lost', 'hand-over'] },
    closed: { to: 'released', effects: ['result-lost', 'hand-over'] },
  },
  sent: {
    committed: { to: 'released', effects: ['settle-log', 'result-saved'] },
    failed: { to: 'queued', effects: ['journal-if-away'] },
    'failed-late': { to: 'sent', effects: ['journal-if-away'] },
    refused: { to: 'refused', effects: ['set-aside'] },
    synced: { to: 'journaled', effects: ['result-journaled'] },
    'deadline-passed': { to: 'given-up', effects: ['result-lost-or-missing'] },
    closed: { to: 'released', effects: ['result-lost', 'hand-over'] },
  },
  refused: {
    committed: { to: 'released', effects: ['settle-log', 'result-saved'] },
    'set-aside': { to: 'released', effects: ['result-journaled', 'let-go', 'replayed-refused'] },
    'set-aside-with-later': { to: 'released', effects: ['result-journaled', 'let-go'] },
    'not-set-aside': { to: 'released', effects: ['result-lost', 'hand-over'] },
    'deadline-passed': { to: 'refused-late', effects: ['result-lost-or-missing'] },
    closed: { to: 'refused-late', effects: ['result-lost', 'hand-over'] },
  },
  journaled: {
    committed: { to: 'released', effects: ['settle-log', 'replayed-saved'] },
    failed: { to: 'released', effects: ['hand-over'] },
    refused: { to: 'refused-late', effects: ['set-aside'] },
    closed: { to: 'released', effects: ['hand-over'] },
  },
  'given-up': {
    committed: { to: 'released', effects: ['settle-log', 'late-saved'] },
    failed: { to: 'released', effects: ['late-lost-if-missing', 'hand-over'] },
    refused: { to: 'refused-late', effects: ['set-aside'] },
    closed: { to: 'released', effects: ['hand-over'] },
  },
  'refused-late': {
    committed: { to: 'released', effects: ['settle-log', 'replayed-saved', 'late-saved'] },
    'set-aside': {
      to: 'released',
      effects: ['late-journaled-if-missing', 'let-go', 'replayed-refused'],
    },
    'set-aside-with-later': { to: 'released', effects: ['late-journaled-if-missing', 'let-go'] },
    'not-set-aside': { to: 'released', effects: ['late-lost-if-missing', 'hand-over'] },
    closed: { to: 'refused-late', effects: ['hand-over'] },
  },
  released: {
    committed: { to: 'released', effects: ['late-saved'] },
    'failed-late': { to: 'released', effects: ['late-lost-if-missing'] },
  },
};

/** Carries out what an event does to a save; `sqlstate` comes with `refused`. */
export type HandleSaveEvent = (save: PendingSave, event: SaveEvent, sqlstate?: string) => void;

type Confirmed = Awaited<SaveProgress['confirmed']>;
type Result = Awaited<SaveProgress['result']>;

/** One save in memory. Its phase changes by `step` only. */
export class PendingSave implements BatchItem {
  readonly save: Save;
  readonly message: Message;
  readonly kind: 'first' | 'revised';
  /** Monotonic. */
  readonly dueMs: number;
  readonly progress: SaveProgress;
  phase: SavePhase = 'queued';
  /** Set once, by `settle`. */
  result: SaveResult | undefined;
  /** A result that came after `missing` or `lost` has been told. */
  isLateTold = false;
  /** Store calls it was part of. */
  attempts = 0;
  /** SQLSTATE or error type of the last failure. */
  errorType: string | undefined;
  /** Its fsync that is on the way, and since when (monotonic); `undefined` when none is. */
  sync: { readonly done: Promise<void>; readonly sinceMs: number } | undefined;
  /** Stops its deadlines. */
  cancelDeadlines: () => void = () => undefined;
  /** The store has answered a call with this message. */
  #isAnswered = false;
  /** Calls whose answer did not come in time and may come yet. */
  #unansweredCalls = 0;
  readonly #handle: HandleSaveEvent;
  readonly #confirmed = deferred<Confirmed>();
  readonly #resolved = deferred<Result>();

  constructor(save: Save, clock: Clock, handle: HandleSaveEvent) {
    this.save = save;
    this.message = save.message;
    this.kind = save.message.revision === 0 ? 'first' : 'revised';
    this.dueMs = clock.monotonicMs();
    this.progress = { confirmed: this.#confirmed.promise, result: this.#resolved.promise };
    this.#handle = handle;
  }

  /** True while nothing but time or an answer decides; the journal may be asked. */
  get isUndecided(): boolean {
    return this.phase === 'queued' || this.phase === 'sent';
  }

  /** True if the message was sent and the store has never answered: whether it is stored is unknown. */
  get isUnknown(): boolean {
    return this.attempts > 0 && !this.#isAnswered;
  }

  /** True while a call that timed out may still be answered. */
  get isAwaitingLateAnswer(): boolean {
    return this.#unansweredCalls > 0;
  }

  /** Applies an event to the phase; returns the effects to carry out. */
  step(event: SaveEvent): readonly SaveEffect[] {
    const transition = TRANSITIONS[this.phase][event];
    if (transition === undefined) return [];
    this.phase = transition.to;
    return transition.effects;
  }

  /** Says how the frame may go; only the first call counts. */
  confirm(released: Confirmed): void {
    this.#confirmed.resolve(released);
  }

  /** Gives both promises their values. */
  settle(result: SaveResult): void {
    const { errorType, attempts } = this;
    this.confirm(result === 'saved' || result === 'journaled' ? result : 'unconfirmed');
    this.#resolved.resolve({ result, attempts, errorType });
  }

  onAttempt(): void {
    this.attempts += 1;
  }

  onAnswer(answer: StoreAnswer): void {
    if (answer.kind === 'silent') {
      this.#unansweredCalls += 1;
      this.errorType = SILENT;
      return this.#handle(this, 'failed');
    }
    this.#isAnswered = true;
    if (answer.kind === 'saved') return this.#handle(this, 'committed');
    if (answer.kind === 'refused') {
      this.errorType = answer.sqlstate;
      return this.#handle(this, 'refused', answer.sqlstate);
    }
    this.errorType = answer.errorType;
    return this.#handle(this, 'failed');
  }

  onLate(answer: LateStoreAnswer): void {
    this.#unansweredCalls -= 1;
    this.#isAnswered = true;
    this.#handle(this, answer.kind === 'saved' ? 'committed' : 'failed-late');
  }
}

/** A promise and the function that fulfils it. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
