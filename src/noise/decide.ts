/**
 * Whether an error of a stream is noise. Every place that handles errors calls this: the error handler, `keep.classify`, adapters of
 * loggers, span processors. The first decision for an error object and its stream is final, so that all places agree, each error is
 * counted once, and an error from before the client left stays a failure afterwards.
 */
import { type CurrentStream, currentStream, followStreams } from '../core/current-stream.ts';
import type { NoiseReason } from '../core/names/labels.ts';
import { classify } from './classify.ts';
import { countsError } from './dedup.ts';

export type { NoiseReason } from '../core/names/labels.ts';
import { isReference } from '../core/values.ts';
import { sharedState } from '../core/shared-state.ts';

/** An error that is noise. */
export interface FoundNoise {
  /** The kind: one of a closed set. */
  readonly reason: NoiseReason;
  /** The signature that it matched; never its message. */
  readonly signature: string;
  readonly streamId: string;
}

/** Decisions by error, then by stream. Both are held weakly: an error must not keep a stream, nor the other way round. */
const decided = sharedState(
  'noise.decided',
  () => new WeakMap<object, WeakMap<CurrentStream, FoundNoise | false>>(),
);

/**
 * Decides about `error` in the stream of `res`, or, without it, in the stream that the caller runs in. `undefined` when it is not noise
 * or no stream is found. Counts noise, once for each error object and stream. Never throws.
 *
 * Without `res` it works for handlers that began after `followStreams()`, which adapters call when they are created; the first call
 * without `res` calls it too. Listeners of request and response run in the context of the connection, where no stream is found: pass
 * `res` there.
 */
export function noiseOf(error: unknown, res?: object): FoundNoise | undefined {
  if (res === undefined) followStreams();
  const stream = currentStream(res);
  if (stream === undefined || !isReference(error)) return undefined;
  let decisions = decided.get(error);
  if (decisions === undefined) decided.set(error, (decisions = new WeakMap()));
  let decision = decisions.get(stream);
  if (decision === undefined) {
    decisions.set(stream, (decision = decide(error, stream)));
    if (decision !== false && countsError(stream, error)) stream.onNoise(decision);
  }
  return decision === false ? undefined : decision;
}

function decide(error: object, stream: CurrentStream): FoundNoise | false {
  const found = classify(error, stream.facts());
  return found.noise && { reason: found.reason, signature: found.signature, streamId: stream.id };
}
