/** What came of one service: which alerts had to arrive, which did, and what is wrong about that. */
import type { Arrived } from './monitoring.ts';
import type { Scenario } from './scenarios.ts';

/** What happened to a service. */
export interface Course {
  readonly streams: number;
  /** Absent where nothing was broken. */
  readonly brokenAtMs?: number;
  /** Why it could not be broken as it should. */
  readonly mishap?: string;
}

/** One part of the table at the end. */
export interface Verdict {
  readonly title: string;
  readonly streams: number;
  /** Alerts that arrived, with how long after the fault. */
  readonly alerts: readonly string[];
  /** What is not as it should be. */
  readonly wrong: readonly string[];
}

/** Expected alerts that have not arrived. */
export function missing({ name, expected }: Scenario, arrived: readonly Arrived[]): string[] {
  return expected.filter(
    (alert) => !arrived.some((one) => one.job === name && one.alert === alert),
  );
}

/** Nothing is wrong only if the alerts are those that belong to the fault, and came after it. */
export function judge(scenario: Scenario, course: Course, arrived: readonly Arrived[]): Verdict {
  const { name, title, expected, later = [] } = scenario;
  const { streams, brokenAtMs = Infinity, mishap } = course;
  const first = new Map<string, number>();
  for (const { job, alert, atMs } of arrived) {
    if (job === name && !first.has(alert)) first.set(alert, atMs);
  }
  const alerts = [...first];
  return {
    title,
    streams,
    alerts: alerts.map(([alert, atMs]) =>
      Number.isFinite(brokenAtMs)
        ? `${alert} (${Math.round((atMs - brokenAtMs) / 1000)} s)`
        : alert,
    ),
    wrong: [
      ...(mishap === undefined ? [] : [`it could not be broken: ${mishap}`]),
      ...(streams === 0 ? ['it had no streams'] : []),
      ...missing(scenario, arrived).map((alert) => `no ${alert}`),
      ...alerts
        .filter(([alert]) => !expected.includes(alert) && !later.includes(alert))
        .map(([alert]) => `also ${alert}`),
      ...alerts
        .filter(([alert, atMs]) => expected.includes(alert) && atMs < brokenAtMs)
        .map(([alert]) => `${alert} before anything was broken`),
    ],
  };
}
