/**
 * What saves do, as numbers. `expected` and `pending` move when a message becomes due, results when a save has
 * one: two sides that are compared (`expected - saves - pending = 0`), so neither is computed from the other.
 */
import { epochOf, systemClock } from '../core/clock.ts';
import type { Observer, SaveReport, StreamView } from '../core/observer.ts';
import { FORMATS, STORE_ERRORS } from '../core/names/labels.ts';
import { METRICS } from '../core/names/index.ts';
import type { MetricRegistry } from './metric-registry.ts';
import type { Observe } from './sink.ts';

/** Saves without a result, and when the oldest of them became due (epoch milliseconds). */
export interface SavesInFlight {
  readonly count: number;
  readonly oldestMs: number | undefined;
}

/** The callbacks of saves. */
export function createSaveMetrics(
  registry: MetricRegistry,
  routeOf: (route: string) => string,
  observe: Observe,
): Observer & { pending(): SavesInFlight } {
  // In the order in which they became due: the first is the oldest.
  const due = new Map<string, { readonly route: string; readonly dueMs: number }>();

  const first = (stream: StreamView, { route: named, result, durationMs }: SaveReport): void => {
    const expected = due.get(stream.id);
    const route = expected?.route ?? routeOf(named);
    registry.add(METRICS.saves, { route, result });
    if (due.delete(stream.id)) registry.add(METRICS.savesPending, { route }, -1);
    if (result === 'saved') observe(METRICS.saveDuration, { route }, durationMs / 1000, stream);
  };

  return {
    pending: () => {
      const [oldest] = due.values();
      return { count: due.size, oldestMs: oldest && epochOf(systemClock, oldest.dueMs) };
    },
    onDue(stream) {
      const route = routeOf(stream.route);
      registry.add(METRICS.savesExpected, { route });
      registry.add(METRICS.savesPending, { route });
      due.set(stream.id, { route, dueMs: performance.now() });
    },
    onSkip(stream, reason) {
      registry.add(METRICS.savesSkipped, { route: routeOf(stream.route), reason });
    },
    onMessage(stream, { unknownText, cut }) {
      const route = routeOf(stream.route);
      if (unknownText) registry.add(METRICS.textUnknown, { route, format: formatOf(stream) });
      if (cut) registry.add(METRICS.capturesCut, { route });
    },
    onSave(report) {
      const { stream, kind, result } = report;
      // Another process's message was never due here; `onRecovered` counts it.
      if (stream === undefined) return;
      if (kind === 'first') first(stream, report);
      else registry.add(kind === 'late' ? METRICS.savesLate : METRICS.savesRevised, { result });
    },
    onAttempt(errorType) {
      registry.add(METRICS.saveAttempts, { error_type: attemptLabel(errorType) });
    },
    onUnnamed: (stream) => registry.add(METRICS.messagesUnnamed, { route: routeOf(stream.route) }),
    onIdConflict: () => registry.add(METRICS.idConflicts, {}),
    onReplayed: (result) => registry.add(METRICS.journalReplayed, { result }),
    onRecovered: (result) => registry.add(METRICS.journalRecovered, { result }),
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
