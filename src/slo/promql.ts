/** The expressions of PromQL that the rules are made of, each with the mistake that it avoids. */
import { series } from './selector.ts';
import type { Slo } from './settings.ts';

/** `sum by (job, route)`: the common labels, and further ones. */
export function by({ by: common }: Slo, ...labels: readonly string[]): string {
  return `by (${[...common, ...labels].join(', ')})`;
}

/** Instances whose journal is lost with the process: it is in memory or in a layer of a container, or there is none. */
export function ephemeral(slo: Slo): string {
  const info = series('buildInfo', { journal: ['overlay', 'tmpfs', 'none', 'off'] });
  return `${on(slo, 'instance')}
  group ${by(slo, 'instance')} (${info})`;
}

/**
 * At least one event was counted in the last `nominal` seconds, by these labels.
 *
 * `increase()` does not include the first sample of a series, which is not 0 if a process counts an event before its first
 * scrape. So a new series counts with its value, but only while its process is younger than `nominal`: after a
 * gap in scraping, an old total would otherwise look new.
 */
export function counted(slo: Slo, selected: string, nominal: number, ...labels: string[]): string {
  return countedAtLeast(1, slo, selected, nominal, ...labels);
}

/** The same for at least `count` events. */
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

/** `on (job, instance)`: the labels that must be equal on both sides. */
export function on({ by: common }: Slo, ...labels: readonly string[]): string {
  return `on (${[...common, ...labels].join(', ')})`;
}

/** Counts are whole numbers, but `increase()` extrapolates by up to a scrape at each end, so the bound is half a count lower. */
export function atLeast(count: number): string {
  return `> ${count - 0.5}`;
}
