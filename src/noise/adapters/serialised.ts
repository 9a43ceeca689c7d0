/**
 * Exceptions of which only the text is left: a log record has a type and a message, but not the error object and its causes. They are
 * noise only under a stricter condition than error objects: the text matches a signature, the answer is no longer wanted, *and* the
 * stream's own signal is aborted. While a handler continues without its client, lastchunk has cancelled nothing; without the causes, a
 * time-out of the app would look the same.
 */
import { currentStream } from '../../core/current-stream.ts';
import { classify } from '../classify.ts';
import { countsText, type SerialisedException } from '../dedup.ts';
import type { FoundNoise } from '../decide.ts';

/** Like `noiseOf`, for a serialised exception and the stream that the caller runs in. Counts once for each stream and text. */
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

/** An error that serialises to this exception. The stream's own abort reason is recognised by its unique message. */
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
