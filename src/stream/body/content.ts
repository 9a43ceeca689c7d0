/** Which parts of a body that was read are kept: the same for a live stream and for one from the journal of a dead process. */
import type { BodyContent, OpenedStream, ReadBody } from '../../core/save-port.ts';
import { type BodyReading, resolveFormat } from '../../formats/index.ts';
import { toRecord } from '../../core/values.ts';
import { CapturedBody } from './captured-body.ts';

/** Whether the payloads are kept: where the app asks for them, and where the text is not the whole answer. */
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

/** Adds the finish reason to lastchunk's notes in the metadata. */
function withNote(
  metadata: OpenedStream['metadata'],
  finishReason: string,
): BodyContent['metadata'] {
  return { ...metadata, lastchunk: { ...toRecord(metadata?.['lastchunk']), finishReason } };
}

/** The largest `maxBytes` that the option allows, for journals of older versions, which do not record theirs. */
const MAX_DECODED_BYTES = 1_073_741_824;

/**
 * Reads a journaled body. Of a custom format only the name is in the journal, so its body is read in the format that is detected
 * from its content.
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
    // The name of a custom format, whose functions are in the app, not in the journal.
    return 'auto';
  }
}
