/**
 * Takes out of a dashboard what @grafana/grafana-foundation-sdk 0.0.21 puts in of itself. Some of it moves things where
 * nobody looks, some is refused by Grafana's own schema, the rest is noise in a diff.
 */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { isObject } from '../../src/core/values.ts';

/** Keys with the values that say nothing or something wrong, wherever they stand. */
const WARTS: Readonly<Record<string, (value: unknown) => boolean>> = {
  // On every link and annotation: hides it in a menu.
  placement: (value) => value === 'inControlsMenu',
  // On every variable; they belong to interval variables, and the schema has none of them.
  auto: () => true,
  auto_min: () => true,
  auto_count: () => true,
  // On every annotation: only the one that Grafana brings itself is built in.
  builtIn: (value) => value === 0,
  // Defaults that Grafana does not write either.
  transparent: (value) => value === false,
  repeatDirection: () => true,
  custom: (value) => typeof value === 'object' && Object.keys(value ?? {}).length === 0,
};

/**
 * The dashboard without them. Throws a `RangeError` when a panel or a row has no id of its own: the SDK gives all rows
 * the id 0 and panels none, and links to a panel need one that stays.
 */
export function normalise(dashboard: Dashboard): Dashboard {
  const ids = (dashboard.panels ?? []).map(({ id }) => id ?? 0);
  const wrong = ids.filter((id, index) => id < 1 || ids.indexOf(id) !== index);
  if (wrong.length > 0) throw new RangeError(`ids that are missing or taken: ${wrong.join(', ')}`);
  // Only keys that are optional in the type are taken out.
  return clean(dashboard) as Dashboard;
}

function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(clean);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([key, inner]) => WARTS[key]?.(inner) !== true);
  return Object.fromEntries(kept.map(([key, inner]) => [key, clean(inner)]));
}
