/**
 * The message of a stream out of what the journal knows of it: the `open` record, the body, and the `end`
 * record if the process lived to write one. Without it nobody can say that the answer was whole: the message
 * is an `interrupted` partial.
 */
import type { OpenedStream, Piece, ReadBody } from '../keeper.ts';
import type { Message } from '../message.ts';
import type { Ending } from './journal-port.ts';

/** `undefined` when there is nothing to keep: the stream never ended, and every payload carried nothing. */
export function rebuild(
  { opened, ending }: { readonly opened: OpenedStream; readonly ending: Ending | undefined },
  body: readonly Piece[],
  { read, nowMs }: { readonly read: ReadBody; readonly nowMs: number },
): Message | undefined {
  const content = read(opened, body);
  if (ending !== undefined) return { ...ending, text: content.text, events: content.events };
  if (content.empty) return undefined;
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
    droppedBytes: 0,
    traceId: traceIdOf(opened.traceparent),
    startedAt: new Date(opened.startedAtMs),
    endedAt: new Date(nowMs),
  };
}

type Metadata = OpenedStream['metadata'];

function merge(given: Metadata, found: Metadata): Metadata {
  return given === null && found === null ? null : { ...given, ...found };
}

/** The second field of a W3C `traceparent`. */
function traceIdOf(traceparent: string | null): string | null {
  return traceparent?.split('-')[1] ?? null;
}
