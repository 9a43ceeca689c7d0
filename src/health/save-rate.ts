/**
 * The message-save rate of the last minutes, for who asks one process and not its Prometheus. A ring of counts: an event is
 * an addition, and nothing grows.
 */
import type { Observer } from '../core/observer.ts';

/** Shares of messages that are safe, 0 to 1; `undefined` where none was due. JSON leaves those out. */
export interface SaveRate {
  readonly fiveMinutes: number | undefined;
  readonly oneHour: number | undefined;
}

export interface SaveRates extends Pick<Observer, 'onSave' | 'onReplayed' | 'onRecovered'> {
  now(): SaveRate;
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

export function createSaveRates(): SaveRates {
  const ring: Slot[] = Array.from({ length: SLOTS }, () => ({ number: -1, due: 0, errors: 0 }));
  const count = (due: number, errors: number): void => {
    const number = currentSlot();
    const slot = ring[number % SLOTS];
    if (slot === undefined) return;
    if (slot.number !== number) Object.assign(slot, { number, due: 0, errors: 0 });
    slot.due += due;
    slot.errors += errors;
  };
  const rate = (ms: number): number | undefined => {
    const newest = currentSlot();
    const oldest = newest - ms / SLOT_MS;
    let due = 0;
    let errors = 0;
    for (const slot of ring) {
      if (slot.number <= oldest || slot.number > newest) continue;
      due += slot.due;
      errors += slot.errors;
    }
    // A refusal counts against a message that may have been due before the window.
    return due + errors === 0 ? undefined : Math.max(0, 1 - errors / Math.max(due, errors));
  };
  return {
    onSave({ stream, kind, result }) {
      const isError = result === 'lost' || result === 'missing';
      if (stream !== undefined && kind === 'first') count(1, isError ? 1 : 0);
      else if (kind === 'revised' && result === 'lost') count(0, 1);
    },
    onReplayed: (result) => count(0, result === 'refused' ? 1 : 0),
    onRecovered: (result) => count(0, result === 'refused' ? 1 : 0),
    now: () => ({ fiveMinutes: rate(5 * 60_000), oneHour: rate(60 * 60_000) }),
  };
}

/** Not of the wall clock, which may be set. */
function currentSlot(): number {
  return Math.floor(performance.now() / SLOT_MS);
}
