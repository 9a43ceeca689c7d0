/**
 * Over which spans the error rate is watched, and how fast the budget must go for whom to be told. The shares are the
 * recommendation of Google's SRE workbook, chapter 5 ("Alerting on SLOs", table 5-8): a page for 2 % of the month's
 * budget in an hour or 5 % in six hours, a ticket for 10 % in three days; the ticket at 10 % in one day is the one
 * that sloth and the Kubernetes mixin put between. The short span, a twelfth, ends the alert soon after the trouble
 * does. Waits (`for`) are the Kubernetes mixin's.
 */
import { DAY, HOUR, MINUTE, spell } from './duration.ts';

/** One pair of spans, all in seconds. */
export interface BurnWindow {
  /** Share of the whole period's budget that is gone when the alert comes, 0 to 1. */
  readonly budgetShare: number;
  readonly long: number;
  readonly short: number;
  readonly wait: number;
  readonly severity: 'critical' | 'warning';
}

/** By name, so that nobody counts indices. */
export const BURN_WINDOWS = {
  pageQuick: {
    budgetShare: 0.02,
    long: HOUR,
    short: 5 * MINUTE,
    wait: 2 * MINUTE,
    severity: 'critical',
  },
  pageSlow: {
    budgetShare: 0.05,
    long: 6 * HOUR,
    short: 30 * MINUTE,
    wait: 15 * MINUTE,
    severity: 'critical',
  },
  ticketQuick: {
    budgetShare: 0.1,
    long: DAY,
    short: 2 * HOUR,
    wait: HOUR,
    severity: 'warning',
  },
  ticketSlow: {
    budgetShare: 0.1,
    long: 3 * DAY,
    short: 6 * HOUR,
    wait: 3 * HOUR,
    severity: 'warning',
  },
} as const satisfies Record<string, BurnWindow>;

/** How many times faster than evenly the budget goes: 14.4, 6, 3 and 1 for a period of 30 days. */
export function burnFactor({ budgetShare, long }: BurnWindow, periodSeconds: number): number {
  return rounded((budgetShare * periodSeconds) / long);
}

/** All of them in words: `14.4 over 1h, 6 over 6h, 3 over 1d, 1 over 3d`. */
export function burnBounds(periodSeconds: number): string {
  return Object.values(BURN_WINDOWS)
    .map((window) => `${burnFactor(window, periodSeconds)} over ${spell(window.long)}`)
    .join(', ');
}

/** A ratio in words: `99.9 %`. */
export function percentage(ratio: number): string {
  return `${rounded(ratio * 100)} %`;
}

/** Without the last digits, which binary fractions get wrong. */
export function rounded(value: number): number {
  return Number(value.toPrecision(10));
}
