/**
 * Removes from a dashboard the values that @grafana/grafana-foundation-sdk 0.0.21 adds by itself. Some of them hide controls in a menu,
 * some are refused by Grafana's schema, the others only make diffs longer.
 */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { isObject } from '../../src/core/values.ts';

/** Keys, and the values of each that are wrong or equal to the default, at any depth. */
const WARTS: Readonly<Record<string, (value: unknown) => boolean>> = {
  // On every link and annotation: hides it in a menu.
  placement: (value) => value === 'inControlsMenu',
  // On every variable; they belong to interval variables, and the schema does not have them here.
  auto: () => true,
  auto_min: () => true,
  auto_count: () => true,
  // On every annotation: only Grafana's own annotation is built in.
  builtIn: (value) => value === 0,
  // Defaults that Grafana does not write either.
  transparent: (value) => value === false,
  repeatDirection: () => true,
  custom: (value) => typeof value === 'object' && Object.keys(value ?? {}).length === 0,
};

/**
 * The dashboard without these values. Throws a `RangeError` if a panel or a row has no unique id: the SDK gives all rows the id 0 and
 * panels none, and links to a panel need an id that does not change.
 */
export function normalise(dashboard: Dashboard): Dashboard {
  const ids = (dashboard.panels ?? []).map(({ id }) => id ?? 0);
  const wrong = ids.filter((id, index) => id < 1 || ids.indexOf(id) !== index);
  if (wrong.length > 0) throw new RangeError(`ids that are missing or taken: ${wrong.join(', ')}`);
  // Only keys that are optional in the type are removed.
  return clean(dashboard) as Dashboard;
}

function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clean);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([key, inner]) => WARTS[key]?.(inner) !== true);
  return Object.fromEntries(kept.map(([key, inner]) => [key, clean(inner)]));
}
