/**
 * Builds the message of a stream from its records in the journal: the `open` record, the body, and the `end` record if the process
 * wrote one before it died. Without an `end` record it is unknown whether the answer was complete, so the message is an
 * `interrupted` partial.
 */
import type { BodyContent, OpenedStream, Piece, ReadBody } from '../core/save-port.ts';
import type { Message } from '../core/message.ts';
import type { Ending, JournalEntry } from '../journal/port.ts';

/** `undefined` when there is nothing to keep: the stream never ended, it is all there, and every payload carried nothing. */
export async function rebuild(
  entry: Pick<JournalEntry, 'opened' | 'ending' | 'endsAt' | 'hasHole'>,
  body: readonly Piece[],
  { read, nowMs }: { readonly read: ReadBody; readonly nowMs: number },
): Promise<Message | undefined> {
  const { opened, ending, endsAt } = entry;
  const content = await read(opened, body);
  if (ending !== undefined) {
    const settled = endsAt === undefined ? content : await read(opened, upTo(body, endsAt));
    const final = isMore(content, settled) ? interrupted(ending) : ending;
    return { ...final, text: content.text, events: content.events };
  }
  const isCut = entry.hasHole === true || (content.droppedBytes ?? 0) > 0;
  if (content.empty && !isCut) return undefined;
  return {
    id: opened.messageId,
    streamId: opened.id,
    conversationId: opened.conversationId,
    role: opened.role,
    text: content.text,
    events: content.events,
    metadata: merge(opened.metadata, content.metadata),
    complete: false,
    outcome: 'interrupted',
    side: 'server',
    revision: 0,
    chunks: body.length,
    bytes: body.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0),
    droppedBytes: content.droppedBytes ?? 0,
    traceId: traceIdOf(opened.traceparent),
    startedAt: new Date(opened.startedAtMs),
    // Of another process, so there is only the wall clock, which may have been set back since.
    endedAt: new Date(Math.max(opened.startedAtMs, nowMs)),
  };
}

/** The answer went on after this end, and its process died before it wrote the next end. */
function interrupted(ending: Ending): Ending {
  const revision = ending.revision + 1;
  return { ...ending, revision, complete: false, outcome: 'interrupted', side: 'server' };
}

/** Usage, a second terminal frame or a heartbeat after the end are no more of an answer. */
function isMore(content: BodyContent, settled: BodyContent): boolean {
  return content.text !== settled.text || content.unknownText !== settled.unknownText;
}

/** The first `bytes` bytes: the journal gives back long pieces, in the midst of which an end may stand. */
function upTo(body: readonly Piece[], bytes: number): readonly Piece[] {
  const pieces: Piece[] = [];
  let left = bytes;
  for (const piece of body) {
    if (left <= 0) break;
    const length = Buffer.byteLength(piece);
    pieces.push(length <= left ? piece : cut(piece, left));
    left -= length;
  }
  return pieces;
}

/** An end was written between two pieces, so never inside a character. */
function cut(piece: Piece, bytes: number): Piece {
  if (typeof piece !== 'string') return piece.subarray(0, bytes);
  return Buffer.from(piece).toString('utf8', 0, bytes);
}

type Metadata = OpenedStream['metadata'];

function merge(given: Metadata, found: Metadata): Metadata {
  return given === null && found === null ? null : { ...given, ...found };
}

/** The second field of a W3C `traceparent`. */
function traceIdOf(traceparent: string | null): string | null {
  return traceparent?.split('-')[1] ?? null;
}
