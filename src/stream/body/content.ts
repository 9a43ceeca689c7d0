/** What is kept of a body that was read: the same for a live stream and for one that a dead process left in its journal. */
import type { BodyContent, OpenedStream, ReadBody } from '../../core/save-port.ts';
import { type BodyReading, resolveFormat } from '../../formats/index.ts';
import { toRecord } from '../../core/values.ts';
import { CapturedBody } from './captured-body.ts';

/** Whether the payloads are kept: where the app asks for them, and where the text does not say it all. */
export function keepsEvents(
  reading: BodyReading,
  { events }: Pick<OpenedStream, 'events'>,
): boolean {
  const { text, empty, unknownText, toolCalls, wordless } = reading;
  return events || unknownText || toolCalls || wordless || (text === '' && !empty);
}

/** What is kept of a reading. */
export function contentOf(
  reading: BodyReading,
  opened: Pick<OpenedStream, 'events' | 'metadata'>,
): BodyContent {
  const { text, empty, finished, unknownText, finishReason } = reading;
  return {
    text,
    events: keepsEvents(reading, opened) ? reading.events : null,
    empty,
    finished,
    unknownText,
    metadata:
      finishReason === undefined ? opened.metadata : withNote(opened.metadata, finishReason),
  };
}

/** Beside the notes that were made when the message got its name. */
function withNote(
  metadata: OpenedStream['metadata'],
  finishReason: string,
): BodyContent['metadata'] {
  return { ...metadata, lastchunk: { ...toRecord(metadata?.['lastchunk']), finishReason } };
}

/** The largest `maxBytes` that may be asked for: journals of older versions do not say theirs. */
const MAX_DECODED_BYTES = 1_073_741_824;

/**
 * Reads a journaled body. A custom format is known here by its name alone, so its body is read as the format that
 * its content shows.
 */
export const readBody: ReadBody = async (stream, pieces) => {
  const body = new CapturedBody(
    { pieces },
    {
      format: formatOf(stream.format),
      contentType: stream.contentType,
      contentEncoding: stream.contentEncoding,
      maxBytes: stream.maxBytes ?? MAX_DECODED_BYTES,
      template: () => undefined,
      onFormatError: () => undefined,
      keepsEvents: (reading) => keepsEvents(reading, stream),
    },
  );
  const content = contentOf(await body.readInSlices(), stream);
  return { ...content, droppedBytes: body.dropped };
};

function formatOf(name: string): ReturnType<typeof resolveFormat> {
  try {
    return resolveFormat(name);
  } catch {
    // A custom format's name: its functions live in the app, not in the journal.
    return 'auto';
  }
}
