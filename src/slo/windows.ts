/**
 * The windows of the burn-rate alerts, and the share of the budget that raises a page or a ticket. The shares are the recommendation of
 * Google's SRE workbook, chapter 5 ("Alerting on SLOs", table 5-8): a page for 2 % of the month's budget in an hour or 5 % in six hours, a
 * ticket for 10 % in three days. The ticket for 10 % in one day is added as in sloth and the Kubernetes mixin. The short window, a
 * twelfth of the long one, ends the alert soon after the failures end. Waits (`for`) are those of the Kubernetes mixin.
 */
import { DAY, HOUR, MINUTE, spell } from './duration.ts';

/** One pair of spans, all in seconds. */
export interface BurnWindow {
  /** Share of the whole period's budget that is spent when the alert fires, 0 to 1. */
  readonly budgetShare: number;
  readonly long: number;
  readonly short: number;
  readonly wait: number;
  readonly severity: 'critical' | 'warning';
}

/** By name, so that no code depends on their order. */
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

/** The burn rate: how many times faster than evenly the budget is spent. 14.4, 6, 3 and 1 for a period of 30 days. */
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

/** Without the last digits, in which binary fractions are inexact. */
export function rounded(value: number): number {
  return Number(value.toPrecision(10));
}
