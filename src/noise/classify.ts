/**
 * Noise or a failure: two facts must agree, what the error looks like and what its stream knows. An error is judged
 * with its causes: one failure among them makes it a failure, whatever it is wrapped in.
 */
import type { StreamFacts } from '../core/current-stream.ts';
import { isSaveError, isStopReason } from '../core/current-stream.ts';
import { hasFact } from '../core/error-facts.ts';
import { errorCodeOf } from '../core/errors.ts';
import type { Noise } from '../core/observer.ts';
import { isOfClass, matches, type Need, property, type Signature } from './matcher.ts';
import { requestErrorOf } from './request-errors.ts';
import { FAILURES, SIGNATURES } from './signatures.ts';
import { isReference } from '../core/values.ts';

/** The answer. */
export type Classification = ({ readonly noise: true } & Noise) | { readonly noise: false };

/** How deep causes are followed: beyond that they say nothing new, and chains may be cyclic. */
const MAX_DEPTH = 5;
/** How many errors of an AggregateError, in all, are looked at: more than that is not one cancellation. */
const MAX_ERRORS = 100;

const FAILURE: Classification = { noise: false };

/** Whether `error`, which belongs to a stream with these facts, is noise. Never throws, whatever it is given. */
export function classify(error: unknown, facts: StreamFacts): Classification {
  if (facts.departure === undefined) return FAILURE;
  try {
    const noise = judge(error, { facts, examined: 0 }, 0);
    return typeof noise === 'object' ? { noise: true, ...noise } : FAILURE;
  } catch {
    // A getter or a proxy that throws: whatever that is, it is no cancellation that we know.
    return FAILURE;
  }
}

interface Case {
  readonly facts: StreamFacts;
  /** How many errors were examined: depth alone does not bound a tree. */
  examined: number;
}

/** What one error says: noise, a failure, or nothing, which is a failure too unless its cause says more. */
type Judgement = Noise | 'failure' | 'nothing';

function judge(error: unknown, about: Case, depth: number): Judgement {
  if (!isReference(error) || depth > MAX_DEPTH) return 'nothing';
  if (isSaveError(error) || about.examined >= MAX_ERRORS) return 'failure';
  about.examined += 1;
  if (isOwnAbort(error, about.facts)) return OWN_ABORT;
  if (isStopReason(error) || isFromBefore(error, about.facts)) return 'failure';
  const cause = judge(property(error, 'cause'), about, depth + 1);
  if (cause === 'failure') return 'failure';
  const own = isOfClass(error, 'AggregateError')
    ? judgeAll(property(error, 'errors'), about, depth)
    : judgeOne(error, about.facts, cause);
  return own === 'nothing' ? cause : own;
}

const OWN_ABORT: Noise = { reason: 'own-abort', signature: 'own abort reason' };

/** What the stream's own signal was aborted with, or the event that told of it. */
function isOwnAbort(error: object, { abortReason }: StreamFacts): boolean {
  if (abortReason === undefined) return false;
  if (error === abortReason) return true;
  const target = property(error, 'type') === 'abort' ? property(error, 'target') : undefined;
  return isReference(target) && property(target, 'reason') === abortReason;
}

/** A request failed with it while the answer was wanted, whoever says so only now. */
function isFromBefore(error: object, { departedAt }: StreamFacts): boolean {
  const at = requestErrorOf(error)?.at;
  // In the turn before, it may have met the close earlier than the stream did.
  return at !== undefined && departedAt !== undefined && at.turn < departedAt.turn - 1;
}

/** This process destroyed the request when the stream's signal was aborted; later it may have had other reasons. */
function isOwnDestroy(error: object, { departedAt, abortReason }: StreamFacts): boolean {
  const seen = requestErrorOf(error);
  if (seen?.destroyed !== true || departedAt === undefined || abortReason === undefined)
    return false;
  return seen.at.atMs >= departedAt.atMs && seen.at.turn <= departedAt.turn + 1;
}

/** One failure among them is a failure, and so is none at all. */
function judgeAll(errors: unknown, about: Case, depth: number): Judgement {
  if (!Array.isArray(errors)) return 'failure';
  let first: Noise | undefined;
  for (const error of new Set<unknown>(errors)) {
    const judgement = judge(error, about, depth + 1);
    if (typeof judgement !== 'object') return 'failure';
    first ??= judgement;
  }
  return first ?? 'failure';
}

/** By what it matches itself, given what its cause is. */
function judgeOne(error: object, facts: StreamFacts, cause: Judgement): Judgement {
  const row = SIGNATURES.find((signature) => matches(error, signature));
  if (row !== undefined) return meets(row.needs, error, facts, cause) ? noiseOfRow(row) : 'failure';
  const failed =
    hasFact(errorCodeOf(error), 'failure') || FAILURES.some((failure) => matches(error, failure));
  return failed ? 'failure' : 'nothing';
}

function noiseOfRow({ reason, id }: Signature): Noise {
  return { reason, signature: id };
}

function meets(need: Need, error: object, facts: StreamFacts, cause: Judgement): boolean {
  switch (need) {
    case 'left':
      return true;
    case 'own':
      return facts.ownErrors.includes(error);
    case 'aborted':
      return facts.abortReason !== undefined;
    case 'closed':
      return facts.closed;
    case 'our-reason':
      return typeof cause === 'object' && cause.reason === 'own-abort';
    case 'our-destroy':
      return isOwnDestroy(error, facts);
  }
}
