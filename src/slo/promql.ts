/** The few shapes of PromQL that all rules are made of, each with the trap it stays clear of. */
import { series } from './selector.ts';
import type { Slo } from './settings.ts';

/** `sum by (job, route)`: the common labels, and further ones. */
export function by({ by: common }: Slo, ...labels: readonly string[]): string {
  return `by (${[...common, ...labels].join(', ')})`;
}

/** Where the disk goes with the process: the journal lies in memory or in a layer of a container, or there is none. */
export function ephemeral(slo: Slo): string {
  const info = series('buildInfo', { journal: ['overlay', 'tmpfs', 'none', 'off'] });
  return `${on(slo, 'instance')}
  group ${by(slo, 'instance')} (${info})`;
}

/**
 * More than nothing was counted in the last `nominal` seconds, by these labels.
 *
 * `increase()` sees no step in a series whose first sample is not 0: a process that counts something before its first
 * scrape. So a series that was not there before counts with its value, but only while its process is as young: after a
 * gap in scraping, an old total would otherwise look new.
 */
export function counted(slo: Slo, selected: string, nominal: number, ...labels: string[]): string {
  return countedAtLeast(1, slo, selected, nominal, ...labels);
}

/** The same where `count` is what it takes. */
export function countedAtLeast(
  count: number,
  ...[slo, selected, nominal, ...labels]: Parameters<typeof counted>
): string {
  const span = slo.span(nominal);
  const enough = count === 1 ? '> 0' : atLeast(count);
  return `  sum ${by(slo, ...labels)} (increase(${selected}[${span}])) ${enough}
or
  sum ${by(slo, ...labels)} (
      (${selected} unless ${selected} offset ${span})
    and ${on(slo, 'instance')}
      (time() - process_start_time_seconds < ${slo.seconds(nominal)})
  ) ${enough}`;
}

/** `on (job, instance)`: what both sides must agree in. */
export function on({ by: common }: Slo, ...labels: readonly string[]): string {
  return `on (${[...common, ...labels].join(', ')})`;
}

/** Counts are whole, but `increase()` extrapolates, by up to a scrape at each end: compare in the middle. */
export function atLeast(count: number): string {
  return `> ${count - 0.5}`;
}
