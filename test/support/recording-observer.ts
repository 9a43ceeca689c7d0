/** An observer that records every call, and functions that wait for calls. */
import type { Observer, SaveReport, StreamSummary } from '../../src/core/observer.ts';
import { until } from './until.ts';

/** A stream's summary with a copy of the stream's facts, because a view must not be stored. */
export interface Ended extends Omit<StreamSummary, 'stream'> {
  readonly id: string;
  readonly route: string;
  readonly chunks: number;
  readonly bytes: number;
  readonly format: string;
}

/** The recorded calls. */
export interface RecordingObserver {
  readonly observer: Observer;
  /** Names of all callbacks except `onRoute`, `onPhase`, `onAttempt` and `onJournalWrite`, in order. */
  readonly told: readonly string[];
  /** The phase after each transition, in order. */
  readonly phases: readonly string[];
  readonly starts: number;
  readonly dues: number;
  readonly skips: readonly string[];
  readonly saves: ReadonlyArray<Omit<SaveReport, 'stream'>>;
  readonly holds: readonly string[];
  /** The duration of each hold in milliseconds. */
  readonly holdDurations: readonly number[];
  readonly finishing: readonly boolean[];
  readonly refusals: readonly string[];
  /** Media types of answers that were not recognised as a stream; not in `told`. */
  readonly unrecognised: readonly string[];
  readonly attempts: ReadonlyArray<string | undefined>;
  readonly journalWrites: number;
  readonly facts: ReadonlyArray<{ readonly unknownText: boolean; readonly cut: boolean }>;
  /** Why messages have no conversation. */
  readonly unnamed: readonly unknown[];
  readonly internalErrors: ReadonlyArray<{ readonly where: string; readonly error: unknown }>;
  readonly ends: readonly Ended[];
  /** The `count`th stream that ended; waits for it. */
  ended(count?: number): Promise<Ended>;
}

/** Creates an observer without recorded calls. */
export function createRecordingObserver(): RecordingObserver {
  const told: string[] = [];
  const phases: string[] = [];
  const skips: string[] = [];
  const saves: Array<Omit<SaveReport, 'stream'>> = [];
  const holds: string[] = [];
  const holdDurations: number[] = [];
  const finishing: boolean[] = [];
  const refusals: string[] = [];
  const unrecognised: string[] = [];
  const attempts: Array<string | undefined> = [];
  const facts: Array<{ unknownText: boolean; cut: boolean }> = [];
  const unnamed: unknown[] = [];
  const internalErrors: Array<{ where: string; error: unknown }> = [];
  const ends: Ended[] = [];
  let journalWrites = 0;
  const count = (name: string): number => told.filter((entry) => entry === name).length;
  const observer: Observer = {
    onStart: () => void told.push('onStart'),
    onFirstChunk: () => void told.push('onFirstChunk'),
    onPhase: (_, { to }) => void phases.push(to),
    onDue: () => void told.push('onDue'),
    onSkip: (_, reason) => void (told.push('onSkip'), skips.push(reason)),
    onMessage: (_, fact) => void (told.push('onMessage'), facts.push(fact)),
    onSave: ({ stream: _stream, ...report }) => void (told.push('onSave'), saves.push(report)),
    onAttempt: (errorType) => void attempts.push(errorType),
    onJournalWrite: () => void (journalWrites += 1),
    onHold: (_, released, durationMs) => {
      told.push('onHold');
      holds.push(released);
      holdDurations.push(durationMs);
    },
    onFinishing: (_, begins) => void (told.push('onFinishing'), finishing.push(begins)),
    onUnrecognised: (_, mediaType) => void unrecognised.push(mediaType),
    onFinishRefused: (_, reason) => void (told.push('onFinishRefused'), refusals.push(reason)),
    onUnnamed: (_, error) => void (told.push('onUnnamed'), unnamed.push(error)),
    onInternalError: (where, error) => {
      told.push('onInternalError');
      internalErrors.push({ where, error });
    },
    onEnd: ({ stream, ...summary }) => {
      told.push('onEnd');
      const { id, route, chunks, bytes, format } = stream;
      ends.push({ ...summary, id, route, chunks, bytes, format });
    },
  };
  return {
    observer,
    told,
    phases,
    get starts() {
      return count('onStart');
    },
    get dues() {
      return count('onDue');
    },
    skips,
    saves,
    holds,
    holdDurations,
    finishing,
    refusals,
    unrecognised,
    attempts,
    get journalWrites() {
      return journalWrites;
    },
    facts,
    unnamed,
    internalErrors,
    ends,
    ended: (nth = 1) => until(`${nth} streams have ended`, () => ends[nth - 1]),
  };
}
