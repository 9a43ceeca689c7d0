/** Holds a label to its bound: whatever an app does, the number of series stays finite. */
import type { Bounded } from '../core/names/metric.ts';

/** The value itself while there is room, else `other`. Values are never forgotten: a series must not move. */
export function createCap(bound: Bounded): (value: string) => string {
  const known = new Set(bound.always);
  const room = known.size + bound.atMost;
  return (value) => {
    if (known.has(value)) return value;
    if (known.size >= room) return 'other';
    known.add(value);
    return value;
  };
}
