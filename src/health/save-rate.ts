/**
 * The message-save rate of the last minutes, for whoever asks one process and not its Prometheus. A ring of counts: an event is
 * an addition, and nothing grows.
 */
import type { SaveReport } from '../core/observer.ts';

/** Shares of messages that are safe, 0 to 1; `undefined` where none was due. JSON leaves those out. */
export interface SaveRate {
  readonly fiveMinutes: number | undefined;
  readonly oneHour: number | undefined;
}

const SLOT_MS = 30_000;
const SLOTS = 120;

interface Slot {
  /** Which half minute of the process it counts; others have had its place before. */
  number: number;
  /** First results. */
  due: number;
  /** What the durability objective counts as errors. */
  errors: number;
}

/** Counts results by the half minute and answers with the rates of the last minutes. */
export class SaveRates {
  readonly #ring: Slot[] = Array.from({ length: SLOTS }, () => ({ number: -1, due: 0, errors: 0 }));

  onSave({ stream, kind, result }: SaveReport): void {
    const isError = result === 'lost' || result === 'missing';
    if (stream !== undefined && kind === 'first') this.#count(1, isError ? 1 : 0);
    else if (kind === 'revised' && result === 'lost') this.#count(0, 1);
  }

  onReplayed(result: 'saved' | 'refused'): void {
    this.#count(0, result === 'refused' ? 1 : 0);
  }

  onRecovered(result: 'saved' | 'refused'): void {
    this.#count(0, result === 'refused' ? 1 : 0);
  }

  now(): SaveRate {
    return { fiveMinutes: this.#rate(5 * 60_000), oneHour: this.#rate(60 * 60_000) };
  }

  #count(due: number, errors: number): void {
    const number = currentSlot();
    const slot = this.#ring[number % SLOTS];
    if (slot === undefined) return;
    if (slot.number !== number) Object.assign(slot, { number, due: 0, errors: 0 });
    slot.due += due;
    slot.errors += errors;
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

/** Not of the wall clock, which may be set. */
function currentSlot(): number {
  return Math.floor(performance.now() / SLOT_MS);
}
