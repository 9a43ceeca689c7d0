/** Rebuilds what a body says, for a process that finds it in a journal: the same reading as in the process that wrote it. */
import type { ReadBody } from '../../core/save-port.ts';
import { isEncoded } from './capture.ts';
import { BodyReader, decodeBody, resolveFormat } from '../../formats/index.ts';

/** Far above any capture limit: what is in a journal was bounded when it was written. */
const MAX_DECODED_BYTES = 1_073_741_824;

/**
 * Reads a journaled body. A custom format is known here by its name alone, so its body is read as the format that
 * its content shows.
 */
export const readBody: ReadBody = (stream, body) => {
  const reading = new BodyReader(formatOf(stream.format), stream.contentType, () => undefined);
  if (isEncoded(stream.contentEncoding)) {
    reading.feed(decodeBody(body, stream.contentEncoding, MAX_DECODED_BYTES).text);
  } else {
    for (const piece of body) reading.feed(String(piece));
  }
  const result = reading.result();
  const { text, empty, finished, unknownText, toolCalls, wordless, finishReason } = result;
  return {
    text,
    events: stream.events || unknownText || toolCalls || wordless ? result.events : null,
    // Bytes that nobody can decode are an answer that nobody can read, not an empty one.
    empty: empty && !(isEncoded(stream.contentEncoding) && text === '' && body.length > 0),
    finished,
    unknownText,
    metadata:
      finishReason === undefined
        ? stream.metadata
        : { ...stream.metadata, lastchunk: { finishReason } },
  };
};

function formatOf(name: string): ReturnType<typeof resolveFormat> {
  try {
    return resolveFormat(name);
  } catch {
    // A custom format's name: its functions live in the app, not in the journal.
    return 'auto';
  }
}
