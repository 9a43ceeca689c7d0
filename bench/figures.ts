/** A figure: what was measured, in several rounds, with its spread and the goal it has to meet. */

/** One line of the result. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly median: number;
  /** The middle half of the rounds lies between these two. */
  readonly low: number;
  readonly high: number;
  readonly rounds: number;
  /** A bound for the median; absent for what is only there for orientation. */
  readonly goal?: Goal;
}

/** A bound. */
export type Goal = { readonly atMost: number } | { readonly atLeast: number };

/** Sums up the rounds of one figure. */
export function figure(name: string, unit: string, rounds: readonly number[], goal?: Goal): Figure {
  return {
    name,
    unit,
    median: quantile(rounds, 0.5),
    low: quantile(rounds, 0.25),
    high: quantile(rounds, 0.75),
    rounds: rounds.length,
    ...(goal && { goal }),
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

/** Whether it has a goal and does not meet it. */
export function isMissed({ median, goal }: Figure): boolean {
  if (goal === undefined) return false;
  return 'atMost' in goal ? !(median <= goal.atMost) : !(median >= goal.atLeast);
}

/** A figure as a line of text. */
export function line(one: Figure): string {
  const { name, unit, median, low, high, rounds, goal } = one;
  const value = `${short(median)} ${unit}`.trimEnd();
  const spread = rounds > 1 ? `(${short(low)} to ${short(high)}, ${rounds} rounds)` : '';
  return `  ${name.padEnd(58)} ${value.padEnd(16)} ${spread.padEnd(34)}${verdict(one, goal)}`.trimEnd();
}

function verdict(one: Figure, goal: Goal | undefined): string {
  if (goal === undefined) return '';
  const bound = 'atMost' in goal ? `at most ${goal.atMost}` : `at least ${goal.atLeast}`;
  return `goal ${bound}: ${isMissed(one) ? 'MISSED' : 'met'}`;
}

/** Three digits that mean something. */
function short(value: number): string {
  if (Math.abs(value) >= 1_000) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}
