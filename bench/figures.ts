/** A figure: what was measured, in several rounds, with its spread. */

/** One line of the result. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  /** The middle half of the rounds lies between these two. */
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
}

/** Sums up the rounds of one figure. */
export function figure(name: string, unit: string, rounds: readonly number[]): Figure {
  return {
    name,
    unit,
    median: quantile(rounds, 0.5),
    low: quantile(rounds, 0.25),
    high: quantile(rounds, 0.75),
    rounds: rounds.length,
  };
}

/** The value below which `part` (0 to 1) of the values lie, interpolated. `NaN` where there is no value. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).sort();
  const at = (sorted.length - 1) * part;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? below;
  return below + (above - below) * (at - Math.floor(at));
}

/** Three digits that mean something. */
export function short(value: number): string {
  if (Math.abs(value) >= 1_000) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}

/** A value with its unit. */
export function withUnit(value: number, unit: string): string {
  return `${short(value)} ${unit}`.trimEnd();
}
