/**
 * Decides between noise and failure: an error is noise only if its fields match a signature and the facts of its stream agree. An error
 * is judged with its causes: one failure among them makes it a failure, whatever wraps it.
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

/** The result of `classify`. */
export type Classification = ({ readonly noise: true } & Noise) | { readonly noise: false };

/** How deep causes are followed: deeper ones add nothing, and chains may be cyclic. */
const MAX_DEPTH = 5;
/** How many errors are examined in all, those of AggregateErrors included: with more, the error is a failure. */
const MAX_ERRORS = 100;

const FAILURE: Classification = { noise: false };

/** Whether `error`, which belongs to a stream with these facts, is noise. Never throws, whatever it is given. */
export function classify(error: unknown, facts: StreamFacts): Classification {
  if (facts.departure === undefined) return FAILURE;
  try {
    const noise = judge(error, { facts, examined: 0 }, 0);
    return typeof noise === 'object' ? { noise: true, ...noise } : FAILURE;
  } catch {
    // A getter or a proxy threw: no known cancellation does that.
    return FAILURE;
  }
}

interface Case {
  readonly facts: StreamFacts;
  /** How many errors were examined: depth alone does not bound a tree. */
  examined: number;
}

/** The judgement of one error. `nothing`: it matches no row; then its cause decides, and without one it is a failure. */
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

/** Whether it is the abort reason of the stream's own signal, or the `abort` event of that signal. */
function isOwnAbort(error: object, { abortReason }: StreamFacts): boolean {
  if (abortReason === undefined) return false;
  if (error === abortReason) return true;
  const target = property(error, 'type') === 'abort' ? property(error, 'target') : undefined;
  return isReference(target) && property(target, 'reason') === abortReason;
}

/** Whether a request failed with it while the answer was still wanted, even if it is reported only now. */
function isFromBefore(error: object, { departedAt }: StreamFacts): boolean {
  const at = requestErrorOf(error)?.at;
  // One turn earlier counts as simultaneous: the request may see the close before the stream does.
  return at !== undefined && departedAt !== undefined && at.turn < departedAt.turn - 1;
}

/** Whether this process destroyed the request when the stream's signal was aborted; a later destroy may have another cause. */
function isOwnDestroy(error: object, { departedAt, abortReason }: StreamFacts): boolean {
  const seen = requestErrorOf(error);
  if (seen?.destroyed !== true || departedAt === undefined || abortReason === undefined)
    return false;
  return seen.at.atMs >= departedAt.atMs && seen.at.turn <= departedAt.turn + 1;
}

/** The judgement of the errors of an AggregateError: a failure if one of them is not noise, or if there are none. */
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

/** The judgement of an error by the rows that it matches itself; `cause` is that of its cause. */
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
