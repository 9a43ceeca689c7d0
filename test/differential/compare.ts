/** Two runs of one handler, side by side. */
import { LATER_MOMENTS, type Said } from './probe.ts';
import type { Run } from './run.ts';

/** Something that is not the same; `what` begins with where it was seen. */
export interface Difference {
  readonly what: string;
  readonly bare: string;
  readonly guarded: string;
}

/** Everything in which `guarded` differs from `bare`. */
export function differences(bare: Run, guarded: Run): readonly Difference[] {
  const found: Difference[] = [];
  const compare = (what: string, one: string, other: string): void => {
    if (one !== other) found.push({ what, bare: one, guarded: other });
  };
  compare('wire', bare.wire, guarded.wire);
  compare('connection', bare.connection, guarded.connection);
  compare('events', eventsOf(bare).toSorted().join(', '), eventsOf(guarded).toSorted().join(', '));
  compare('order of the end', orderOf(bare, true), orderOf(guarded, true));
  compare('order of the rest', orderOf(bare, false), orderOf(guarded, false));
  const said = bare.probe?.said ?? [];
  const answers = guarded.probe?.said ?? [];
  compare('steps', String(said.length), String(answers.length));
  for (const [at, one] of said.entries()) {
    compare(`${timeOf(one)} ${one.what}`, one.answer, answers[at]?.answer ?? 'not asked');
  }
  return found;
}

/** Whether the response was over, under a store that answers at once, when this was asked. */
function timeOf({ moment }: Said): 'later' | 'now' {
  return LATER_MOMENTS.has(moment) ? 'later' : 'now';
}

function eventsOf(run: Run): readonly string[] {
  return run.probe?.events ?? [];
}

/** What comes with the end of a response, and what is told of mistakes, each in its own order. */
function orderOf(run: Run, isOfEnd: boolean): string {
  return eventsOf(run)
    .filter((event) => /error|ERR_|pipe|aborted/i.test(event) !== isOfEnd)
    .join(', ');
}
