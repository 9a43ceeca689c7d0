/** What is compared runs in turn, so that whatever else the machine does meets all of it. */

/** Results by name, round by round. */
export type Rounds<Name extends string, T> = Readonly<Record<Name, readonly T[]>>;

/**
 * Measures every subject in every round: A B C, C B A, A B C, … The first `warmUp` rounds are not counted.
 */
export async function inTurn<Name extends string, T>(
  names: readonly Name[],
  { rounds, warmUp = 0 }: { readonly rounds: number; readonly warmUp?: number },
  measure: (name: Name) => Promise<T>,
): Promise<Rounds<Name, T>> {
  // Every name gets its list here.
  const results = Object.fromEntries(names.map((name) => [name, [] as T[]])) as Record<Name, T[]>;
  for (let round = -warmUp; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const result = await measure(name);
      if (round >= 0) results[name].push(result);
    }
  }
  return results;
}

/** The rounds of several runs, one run behind the other. */
export function joined<Name extends string, T>(
  names: readonly Name[],
  runs: readonly Rounds<Name, T>[],
): Rounds<Name, T> {
  const entries = names.map((name) => [name, runs.flatMap((run) => run[name])] as const);
  // Every name has its rounds.
  return Object.fromEntries(entries) as Record<Name, T[]>;
}

/** One value of each result, round by round. */
export function pick<Name extends string, T>(
  results: Rounds<Name, T>,
  value: (result: T) => number,
): Rounds<Name, number> {
  const entries = Object.entries<readonly T[]>(results);
  const picked = Object.fromEntries(entries.map(([name, list]) => [name, list.map(value)]));
  // The same keys.
  return picked as Record<Name, number[]>;
}

/** Within each round, so many times as much. */
export function ratios(values: readonly number[], others: readonly number[]): number[] {
  return values.map((value, round) => value / (others[round] ?? Number.NaN));
}

/** Within each round, so much more. */
export function differences(values: readonly number[], others: readonly number[]): number[] {
  return values.map((value, round) => value - (others[round] ?? Number.NaN));
}
