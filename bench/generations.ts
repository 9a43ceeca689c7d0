/**
 * What is compared in several processes of each, one after the other: two that run the same code may differ by a tenth for as
 * long as they live, by where things have come to lie in memory.
 */
import { figure } from './figures.ts';
import type { Bench } from './part.ts';
import { joined, type Rounds } from './rounds.ts';

/** What one run has cost the server. */
export interface Cost {
  /** For each chunk, or token. */
  readonly cpuUs: number;
  readonly perSecond: number;
}

/** One process of each, from its start to its end. */
export interface Generation<Name extends string> {
  /** One for each thing that was measured, in the order in which they were. */
  readonly costs: readonly Rounds<Name, Cost>[];
  readonly peakMiB: Readonly<Record<Name, number>>;
}

/** What is compared, and how. */
export interface Comparison<Name extends string, Thing> {
  /** What is compared, and what the results call it. */
  readonly subjects: Readonly<Record<Name, { readonly title: string }>>;
  /** What is measured of each, in each generation. */
  readonly things: readonly Thing[];
  readonly generations: number;
  readonly live: () => Promise<Generation<Name>>;
  /** Told what one thing has cost in all generations. */
  readonly report: (thing: Thing, costs: Rounds<Name, Cost>) => void;
}

/** Compares, and reports the memory that was taken, too. */
export async function inGenerations<Name extends string, Thing>(
  { found }: Bench,
  { subjects, things, generations, live, report }: Comparison<Name, Thing>,
): Promise<void> {
  const lived: Generation<Name>[] = [];
  while (lived.length < generations) lived.push(await live());
  // The keys of the table.
  const names = Object.keys(subjects) as Name[];
  for (const [index, thing] of things.entries()) {
    const costs = lived.flatMap((generation) => generation.costs[index] ?? []);
    report(thing, joined(names, costs));
  }
  for (const name of names) {
    const peaks = lived.map(({ peakMiB }) => peakMiB[name]);
    found(figure(`memory, peak: ${subjects[name].title}`, 'MiB', peaks));
  }
}
