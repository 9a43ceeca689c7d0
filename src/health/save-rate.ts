/**
 * The message-save rate of the last minutes, of one process and without Prometheus. A ring buffer of counts: an event costs one addition,
 * and memory does not grow.
 */
import type { SaveResult } from '../core/message.ts';
import type { SaveReport } from '../core/observer.ts';

/** The counts of half a minute. */
export interface SaveCounts {
  /** When the half minute began, epoch milliseconds by the wall clock as it is set now. */
  readonly startMs: number;
  /** Messages that got their first result, by that result. */
  readonly results: Readonly<Record<SaveResult, number>>;
  /** Messages that the store refused for good when the journal offered them again. */
  readonly refused: number;
  /** Messages of the journal that reached the store later, those of dead processes included. */
  readonly replayed: number;
  /** What the durability objective counts as errors: lost, missing and refused messages, and revisions that were lost. */
  readonly errors: number;
}

/** Shares of messages that are safe, 0 to 1; `undefined` where none was due; absent in JSON then. */
export interface SaveRate {
  readonly fiveMinutes: number | undefined;
  readonly oneHour: number | undefined;
}

const SLOT_MS = 30_000;
const SLOTS = 120;

interface Slot {
  /** The number of the half minute since the start of the process; places in the ring are reused. */
  number: number;
  /** First results. */
  due: number;
  /** What the durability objective counts as errors. */
  errors: number;
  results: Record<SaveResult, number>;
  refused: number;
  replayed: number;
}

/** Counts results for each half minute and returns the rates of the last 5 and 60 minutes. */
export class SaveRates {
  readonly #ring: Slot[] = Array.from({ length: SLOTS }, () => emptySlot(-1));

  onSave({ stream, kind, result }: SaveReport): void {
    const isError = result === 'lost' || result === 'missing';
    if (stream !== undefined && kind === 'first') {
      const slot = this.#slot();
      slot.due += 1;
      slot.results[result] += 1;
      if (isError) slot.errors += 1;
    } else if (kind === 'revised' && result === 'lost') this.#slot().errors += 1;
  }

  onReplayed(result: 'saved' | 'refused'): void {
    this.#countOfJournal(result);
  }

  onRecovered(result: 'saved' | 'refused'): void {
    this.#countOfJournal(result);
  }

  now(): SaveRate {
    return { fiveMinutes: this.#rate(5 * 60_000), oneHour: this.#rate(60 * 60_000) };
  }

  /** The half minutes of the last hour in which something was counted, oldest first. */
  history(): SaveCounts[] {
    const newest = currentSlot();
    const originMs = Date.now() - performance.now();
    return this.#ring
      .filter(({ number }) => number > newest - SLOTS && number <= newest && number >= 0)
      .toSorted((a, b) => a.number - b.number)
      .map(({ number, due: _due, results, ...counts }) => ({
        startMs: Math.round(originMs + number * SLOT_MS),
        results: { ...results },
        ...counts,
      }));
  }

  #countOfJournal(result: 'saved' | 'refused'): void {
    const slot = this.#slot();
    if (result === 'saved') slot.replayed += 1;
    else {
      slot.refused += 1;
      slot.errors += 1;
    }
  }

  /** The slot of the current half minute. */
  #slot(): Slot {
    const number = currentSlot();
    const place = number % SLOTS;
    let slot = this.#ring[place];
    if (slot?.number !== number) this.#ring[place] = slot = emptySlot(number);
    return slot;
  }

  #rate(ms: number): number | undefined {
    const newest = currentSlot();
    const oldest = newest - ms / SLOT_MS;
    let due = 0;
    let errors = 0;
    for (const slot of this.#ring) {
      if (slot.number <= oldest || slot.number > newest) continue;
      due += slot.due;
      errors += slot.errors;
    }
    // A refusal counts against a message that may have been due before the window.
    return due + errors === 0 ? undefined : Math.max(0, 1 - errors / Math.max(due, errors));
  }
}

function emptySlot(number: number): Slot {
  const results = { saved: 0, journaled: 0, lost: 0, missing: 0 };
  return { number, due: 0, errors: 0, results, refused: 0, replayed: 0 };
}

/** By the monotonic clock, because the wall clock may be set. */
function currentSlot(): number {
  return Math.floor(performance.now() / SLOT_MS);
}
