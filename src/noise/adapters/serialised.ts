/**
 * Exceptions of which only the text is left: a log record holds a type and a message, and the error itself, its causes and
 * its identity are gone. Two facts are still asked for, and more than of an error: the look of a cancellation, and a
 * stream that nobody waits for *and* whose own signal has aborted. While a handler goes on without its client nothing
 * that it meets was cancelled by us, and without the causes a time-out of the app's own would look the same.
 */
import { currentStream } from '../../core/current-stream.ts';
import { classify } from '../classify.ts';
import { countsText, type SerialisedException } from '../dedup.ts';
import type { FoundNoise } from '../decide.ts';

/** The same question as `noiseOf`, about the stream that the caller runs in. Counts, once per stream and text. */
export function noiseOfSerialised(exception: SerialisedException): FoundNoise | undefined {
  const stream = currentStream();
  const facts = stream?.facts();
  if (stream === undefined || facts?.abortReason === undefined) return undefined;
  const found = classify(standIn(exception, facts.abortReason), facts);
  if (!found.noise) return undefined;
  const { reason, signature } = found;
  if (countsText(stream, exception)) stream.onNoise({ reason, signature });
  return { reason, signature, streamId: stream.id };
}

/** An error that would be written so. Our own reason is known by its message, which nobody else has. */
function standIn(exception: SerialisedException, abortReason: unknown): unknown {
  const { type, message, stacktrace: stack } = exception;
  const isDom = type === DOM_ABORT_ERR;
  if ((isDom || type === 'AbortError') && abortReason instanceof Error) {
    if (abortReason.message === message) return abortReason;
  }
  if (isDom) return new DOMException(message, 'AbortError');
  const name = type.includes('ABORT') ? 'AbortError' : type;
  return Object.assign(new Error(message), { name, code: type, stack });
}

/** A `DOMException` has a code, and so its code is what is written: 20 for an AbortError. */
const DOM_ABORT_ERR = '20';
