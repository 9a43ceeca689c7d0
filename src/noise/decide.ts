/**
 * Is this error of this stream noise? Asked by every place that meets errors: the error handler, `keep.classify`,
 * loggers, span processors. The first answer stands for an error object and its stream, so that all places agree,
 * it is counted once, and what broke while the client was there stays a failure after it has left.
 */
import { type CurrentStream, currentStream, followStreams } from '../core/current-stream.ts';
import type { NoiseReason } from '../core/names/labels.ts';
import { classify } from './classify.ts';
import { countsError } from './dedup.ts';

export type { NoiseReason } from '../core/names/labels.ts';
import { isReference } from '../core/values.ts';
import { sharedState } from '../core/shared-state.ts';

/** An error that was called noise. */
export interface FoundNoise {
  /** The kind: one of a closed set. */
  readonly reason: NoiseReason;
  /** What it was recognised by; never its message. */
  readonly signature: string;
  readonly streamId: string;
}

/** Decisions by error, then by stream. Both are held weakly: an error must not keep a stream, nor the other way round. */
const decided = sharedState(
  'noise.decided',
  () => new WeakMap<object, WeakMap<CurrentStream, FoundNoise | false>>(),
);

/**
 * What is known of `error` in the stream of `res`, or, without it, in the stream that the caller runs in. `undefined`
 * when it is no noise or no stream is known. Counts, once per error object and stream. Never throws.
 *
 * Without `res` it works for handlers that began after `followStreams()`, which adapters call when they are made; the
 * first call without `res` does so too. Listeners of request and response run in the connection's context, where no
 * stream is known: give `res` there.
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
