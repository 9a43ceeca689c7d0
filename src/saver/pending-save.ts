/**
 * One save in memory: what it holds, what is known of it, and the two promises that somebody waits for.
 * Facts only; what to do about them is the saver's.
 */
import type { Save, SaveProgress } from '../core/save-port.ts';
import type { SaveResult } from '../core/message.ts';
import type { Clock } from '../core/clock.ts';
import type { Parcel } from './store-client.ts';

type Confirmed = Awaited<SaveProgress['confirmed']>;
type Result = Awaited<SaveProgress['result']>;

/** The saver's part in an entry: what to do with the store's answers. */
export type AnswerHandlers = {
  readonly [Name in 'onAnswer' | 'onLate']: (
    entry: Entry,
    ...args: Parameters<Parcel[Name]>
  ) => void;
};

export interface Entry extends Parcel {
  readonly save: Save;
  readonly kind: 'first' | 'revised';
  /** Wall clock, epoch milliseconds. */
  readonly dueAtMs: number;
  /** Monotonic. */
  readonly dueMs: number;
  readonly progress: SaveProgress;
  /** Says how the frame may go; only the first call counts. */
  readonly confirm: (released: Confirmed) => void;
  readonly resolve: (result: Result) => void;
  result: SaveResult | undefined;
  /** A result that came after `missing` or `lost` has been told. */
  lateTold: boolean;
  /** Store calls it was part of. */
  attempts: number;
  /** Whether the store has ever said anything about it. */
  answered: boolean;
  /** Batches it is in that may still be answered in time. */
  underway: number;
  /** Batches whose answer did not come in time and may come yet. */
  unheard: number;
  errorType: string | undefined;
  /** Its fsync is on the way. */
  syncing: boolean;
  /** The store can never take it: not to be sent again. */
  refused: boolean;
  /** The journal has it and replay is in charge. */
  handedOver: boolean;
  cancelDeadlines: () => void;
}

export function createEntry(save: Save, clock: Clock, handlers: AnswerHandlers): Entry {
  const confirmed = deferred<Confirmed>();
  const result = deferred<Result>();
  const entry: Entry = {
    save,
    message: save.message,
    kind: save.message.revision === 0 ? 'first' : 'revised',
    dueAtMs: clock.epochMs(),
    dueMs: clock.monotonicMs(),
    progress: { confirmed: confirmed.promise, result: result.promise },
    confirm: confirmed.resolve,
    resolve: result.resolve,
    result: undefined,
    lateTold: false,
    attempts: 0,
    answered: false,
    underway: 0,
    unheard: 0,
    errorType: undefined,
    syncing: false,
    refused: false,
    handedOver: false,
    cancelDeadlines: () => undefined,
    onAttempt() {
      entry.attempts += 1;
    },
    onAnswer: (answer) => handlers.onAnswer(entry, answer),
    onLate: (answer) => handlers.onLate(entry, answer),
  };
  return entry;
}

/** A promise and the function that fulfils it. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
