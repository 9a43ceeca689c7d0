/**
 * What saves do, as numbers. `expected` and `pending` move when a message becomes due, results when a save has
 * one: two sides that are compared (`expected - saves - pending = 0`), so neither is computed from the other.
 */
import type { Observer, SaveReport, StreamView } from '../core/observer.ts';
import type { Board } from './board.ts';
import { FORMATS, STORE_ERRORS } from '../core/names/labels.ts';
import { METRICS } from '../core/names/index.ts';
import type { Observe } from './sink.ts';

/** Saves without a result, and when the oldest of them became due (epoch milliseconds). */
export interface PendingSaves {
  readonly count: number;
  readonly oldestMs: number | undefined;
}

/** The callbacks of saves. */
export function createSaveMetrics(
  board: Board,
  routeOf: (route: string) => string,
  observe: Observe,
): Observer & { pending(): PendingSaves } {
  // In the order in which they became due: the first is the oldest.
  const due = new Map<string, { readonly route: string; readonly dueMs: number }>();

  const first = (stream: StreamView, { route: named, result, durationMs }: SaveReport): void => {
    const expected = due.get(stream.id);
    const route = expected?.route ?? routeOf(named);
    board.add(METRICS.saves, { route, result });
    if (due.delete(stream.id)) board.add(METRICS.savesPending, { route }, -1);
    if (result === 'saved') observe(METRICS.saveDuration, { route }, durationMs / 1000, stream);
  };

  return {
    pending: () => {
      const [oldest] = due.values();
      return { count: due.size, oldestMs: oldest?.dueMs };
    },
    onDue(stream) {
      const route = routeOf(stream.route);
      board.add(METRICS.savesExpected, { route });
      board.add(METRICS.savesPending, { route });
      due.set(stream.id, { route, dueMs: Date.now() });
    },
    onSkip(stream, reason) {
      board.add(METRICS.savesSkipped, { route: routeOf(stream.route), reason });
    },
    onMessage(stream, { unknownText, cut }) {
      const route = routeOf(stream.route);
      if (unknownText) board.add(METRICS.textUnknown, { route, format: formatOf(stream) });
      if (cut) board.add(METRICS.capturesCut, { route });
    },
    onSave(report) {
      const { stream, kind, result } = report;
      // Another process's message was never due here; `onRecovered` counts it.
      if (stream === undefined) return;
      if (kind === 'first') first(stream, report);
      else board.add(kind === 'late' ? METRICS.savesLate : METRICS.savesRevised, { result });
    },
    onAttempt(errorType) {
      board.add(METRICS.saveAttempts, { error_type: attemptLabel(errorType) });
    },
    onReplayed: (result) => board.add(METRICS.journalReplayed, { result }),
    onRecovered: (result) => board.add(METRICS.journalRecovered, { result }),
    onJournalWrite: (seconds) => observe(METRICS.journalWrite, {}, seconds),
  };
}

function formatOf(stream: StreamView): (typeof FORMATS)[number] {
  return FORMATS.find((format) => format === stream.format) ?? 'custom';
}

function attemptLabel(errorType: string | undefined): string {
  if (errorType === undefined) return 'none';
  return STORE_ERRORS.find((known) => known === errorType) ?? 'other';
}
