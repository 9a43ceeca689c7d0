/** From conversations to figures: what was seen, what was kept, what was lost. */
import { ROUTES, type Route } from './agreed.ts';
import type { Fault, FaultName } from './faults.ts';
import type { Conversation } from './plan.ts';

/** The figures of one route. An answer counts as seen when its client received at least one token of it. */
export interface Tally {
  readonly seen: number;
  readonly kept: number;
  /** Of 100 answers seen, how many were not kept; `null` when none was seen. */
  readonly lossPercent: number | null;
}

/** The figures of one fault. */
export interface Result {
  readonly fault: FaultName | 'all';
  readonly title: string;
  /** For each route. */
  readonly streams: number;
  readonly routes: Readonly<Record<Route, Tally>>;
}

/** One result for each fault, in their order, and at the end all of them together. */
export function resultsOf(
  faults: readonly Fault[],
  conversations: readonly Conversation[],
): readonly Result[] {
  return [
    ...faults.map((fault) =>
      resultOf(
        { fault: fault.name, title: fault.title },
        conversations.filter((one) => one.fault === fault),
      ),
    ),
    resultOf({ fault: 'all', title: 'all' }, conversations),
  ];
}

/**
 * What the guarded route failed to do, one sentence each; none means that the run succeeded. Seeing nothing
 * is a failure too: a route that never answers loses nothing.
 */
export function failuresOf(
  results: readonly Result[],
  conversations: readonly Conversation[],
): readonly string[] {
  const failures = results
    .filter(({ fault }) => fault !== 'all')
    .flatMap(({ title, routes: { guarded } }) => {
      if (guarded.seen === 0) return [`"${title}": no client of the guarded route saw anything`];
      const lost = guarded.seen - guarded.kept;
      return lost === 0 ? [] : [`"${title}": the guarded route lost ${lost} of ${guarded.seen}`];
    });
  const twice = conversations.filter((one) => one.route === 'guarded' && one.rows > 1);
  if (twice.length > 0) failures.push(`${twice.length} answers of the guarded route stored twice`);
  return failures;
}

function resultOf(
  name: Pick<Result, 'fault' | 'title'>,
  conversations: readonly Conversation[],
): Result {
  return {
    ...name,
    streams: conversations.length / ROUTES.length,
    routes: { naive: tally('naive', conversations), guarded: tally('guarded', conversations) },
  };
}

function tally(route: Route, conversations: readonly Conversation[]): Tally {
  const answers = conversations.filter((one) => one.route === route && one.seen !== '');
  const seen = answers.length;
  const kept = answers.filter((one) => one.kept === true).length;
  return { seen, kept, lossPercent: seen === 0 ? null : ((seen - kept) / seen) * 100 };
}
