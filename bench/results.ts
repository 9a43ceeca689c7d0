/** The results of a run, and the file that keeps the latest of each part. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Figure } from './figures.ts';
import { GOALS, isMet, type Goal } from './goals.ts';
import type { Machine } from './machine.ts';

/** What one part has found. */
export interface PartResult {
  readonly part: string;
  /** ISO 8601. */
  readonly started: string;
  readonly seconds: number;
  /** Of one minute, before and after. */
  readonly load: { readonly before: number; readonly after: number };
  readonly machine: Machine;
  readonly figures: readonly Figure[];
  /** What it said beside its figures. */
  readonly notes: readonly string[];
}

/** What became of a goal: `undefined` where its figure was not measured. */
export interface Judged {
  readonly goal: Goal;
  readonly figure: Figure | undefined;
}

/** Every goal with its figure. */
export function judge(results: readonly PartResult[]): readonly Judged[] {
  return GOALS.map((goal) => ({
    goal,
    figure: results
      .find(({ part }) => part === goal.part)
      ?.figures.find(({ name }) => name === goal.figure),
  }));
}

/** Whether a goal of a part that was run is missed, or was not measured at all. */
export function anyMissed(results: readonly PartResult[]): boolean {
  const parts = new Set(results.map(({ part }) => part));
  return judge(results).some(
    ({ goal, figure }) =>
      parts.has(goal.part) && (figure === undefined || !isMet(figure, goal.bound)),
  );
}

/** Puts new results in the place of older ones of the same parts. */
export function merge(
  older: readonly PartResult[],
  newer: readonly PartResult[],
  order: readonly string[],
): readonly PartResult[] {
  const parts = new Set(newer.map(({ part }) => part));
  return [...older.filter(({ part }) => !parts.has(part)), ...newer].sort(
    (a, b) => order.indexOf(a.part) - order.indexOf(b.part),
  );
}

/** Reads what `writeResults` has written; nothing where there is no such file. */
export function readResults(path: string | URL): readonly PartResult[] {
  try {
    // Nobody else writes this file.
    return JSON.parse(readFileSync(path, 'utf8')) as PartResult[];
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

/** As JSON. */
export function writeResults(path: string | URL, results: readonly PartResult[]): void {
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`);
}
