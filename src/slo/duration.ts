/** Spans of time in seconds, and how PromQL spells them. */

export const MINUTE = 60;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** `5m`, `6h`, `30d`: the largest unit that divides it; milliseconds for what is no whole second. */
export function spell(seconds: number): string {
  const found = UNITS.find(([size]) => Number.isInteger(seconds / size));
  if (found === undefined) return `${Math.max(1, Math.round(seconds * 1000))}ms`;
  const [size, unit] = found;
  return `${seconds / size}${unit}`;
}

const UNITS = [
  [DAY, 'd'],
  [HOUR, 'h'],
  [MINUTE, 'm'],
  [1, 's'],
] as const;
