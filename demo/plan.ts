/**
 * What will happen, drawn before it does: every conversation of a run, from its seed. Both routes get the
 * same answers, cut at the same token in the same way.
 */
import { ROUTES, type Route } from './agreed.ts';
import type { Course, Fault } from './faults.ts';
import { createRandom, type Random } from './random.ts';
import { answerText, tokensOf } from './texts.ts';
import type { Script } from './upstream.ts';

/** One question, its answer, what its client does, and what came of it. */
export interface Conversation {
  readonly fault: Fault;
  readonly route: Route;
  readonly id: string;
  readonly prompt: string;
  readonly script: Script;
  readonly course: Course;
  /** Tokens received so far. */
  tokens: number;
  /** The text received; '' until the client is done, and when it received none. */
  seen: string;
  /** The length of the text received, each time that it grew; milliseconds of `performance.now()`. */
  readonly heard: { readonly atMs: number; readonly length: number }[];
  /** How much of it, in characters, a stored text has to begin with; `undefined`: all of it. */
  owed: number | undefined;
  /** Decided at once where the course says so, when all has settled otherwise. */
  kept: boolean | undefined;
  /** Rows stored for it. */
  rows: number;
}

/** Draws `streams` conversations for each route, shared evenly by the faults. `run` makes their ids unique. */
export function drawPlan(
  faults: readonly Fault[],
  options: { readonly streams: number; readonly seed: number; readonly run: string },
): Conversation[] {
  const random = createRandom(options.seed);
  return Array.from({ length: options.streams }, (_, index) => {
    const fault = faults[index % faults.length];
    return fault === undefined ? [] : pair(fault, index, random, options.run);
  }).flat();
}

/** The same conversation on both routes. */
function pair(fault: Fault, index: number, random: Random, run: string): Conversation[] {
  const tokens = tokensOf(answerText(index, random), random);
  const course = fault.course(random, tokens.length);
  const gapMs = fault.onReplicas ? random.int(20, 40) : random.int(2, 12);
  const { breaks } = course;
  return ROUTES.map((route) => ({
    fault,
    route,
    id: `${run}-${route}-${index}`,
    prompt: `${route} question ${index}: write a few short sentences in several languages, with emoji.`,
    script: { tokens, gapMs, ...(breaks && { breaks }) },
    course,
    tokens: 0,
    seen: '',
    heard: [],
    owed: undefined,
    kept: undefined,
    rows: 0,
  }));
}
