/**
 * Converts a message so that PostgreSQL can hold it, whatever it contains: ids from a URL, text from a model, metadata from a request body.
 * Changes are counted or noted, and nothing is refused, because a refused message is one that a user saw and the database does not have.
 */
import { boundIdentifier, toStorableText } from '../core/identifiers.ts';
import type { Message } from '../core/message.ts';
import { jsonbText } from './json.ts';
import type { Row } from './table.ts';
import { toRecord } from '../core/values.ts';

/** A message with everything in it storable, as an app's own `write` gets it. */
export interface StorableMessage extends Message {
  /** Characters (NUL, lone surrogates) that were replaced by U+FFFD, in all texts together. */
  readonly replaced: number;
}

/** The row of a message. Never throws. */
export function toRow(message: Message): Row {
  const notes: Record<string, unknown> = {};
  const texts = createCleaner();
  const id = shorten(texts.clean(message.id), 'fullId', notes);
  const role = shorten(texts.clean(message.role), 'fullRole', notes);
  const conversation =
    message.conversationId === null
      ? null
      : shorten(texts.clean(message.conversationId), 'fullConversationId', notes);
  const content = texts.clean(message.text);
  const events = message.events === null ? undefined : jsonbText(message.events);
  const metadata = metadataText(message.metadata, notes);
  return {
    id,
    stream_id: texts.clean(message.streamId),
    conversation_id: conversation,
    role,
    content,
    complete: message.complete,
    outcome: message.outcome,
    side: message.side,
    revision: message.revision,
    events: events?.json ?? null,
    metadata: metadata?.json ?? null,
    chunks: message.chunks,
    bytes: message.bytes,
    dropped_bytes: message.droppedBytes,
    replaced: texts.replaced() + (events?.replaced ?? 0) + (metadata?.replaced ?? 0),
    trace_id: message.traceId,
    started_at: timeText(message.startedAt),
    ended_at: timeText(message.endedAt),
  };
}

/** The message that a row holds, for code that takes messages rather than rows. */
export function toStorableMessage(row: Row): StorableMessage {
  return {
    id: row.id,
    streamId: row.stream_id,
    conversationId: row.conversation_id,
    role: row.role,
    text: row.content,
    // True: a row's events are the JSON text of an array.
    events: row.events === null ? null : (JSON.parse(row.events) as unknown[]),
    metadata: row.metadata === null ? null : toRecord(JSON.parse(row.metadata)),
    complete: row.complete,
    outcome: row.outcome,
    side: row.side,
    revision: row.revision,
    chunks: row.chunks,
    bytes: row.bytes,
    droppedBytes: row.dropped_bytes,
    replaced: row.replaced,
    traceId: row.trace_id,
    startedAt: new Date(row.started_at),
    endedAt: new Date(row.ended_at),
  };
}

/** The same row under another id; the requested id is kept in `metadata.lastchunk.requestedId`. */
export function underId(row: Row, id: string): Row {
  const metadata = toRecord(JSON.parse(row.metadata ?? '{}'));
  const noted = { ...toRecord(metadata[NOTES]), requestedId: row.id };
  return { ...row, id, metadata: JSON.stringify({ ...metadata, [NOTES]: noted }) };
}

/** Replaces characters that PostgreSQL's `text` cannot hold, and counts them. */
function createCleaner() {
  let replaced = 0;
  return {
    replaced: () => replaced,
    clean(text: string): string {
      const storable = toStorableText(text);
      replaced += storable.replaced;
      return storable.text;
    },
  };
}

/** Cuts a value that is longer than 512 bytes, such as one from an older journal; the note keeps the whole value. */
function shorten(text: string, note: string, notes: Record<string, unknown>): string {
  const bounded = boundIdentifier(text);
  if (bounded !== text) notes[note] = text;
  return bounded;
}

/** The metadata with our notes, 64 KiB at most: beyond that first the app's part is dropped, then the notes. */
function metadataText(metadata: Message['metadata'], notes: Readonly<Record<string, unknown>>) {
  if (metadata === null && Object.keys(notes).length === 0) return undefined;
  const whole = jsonbText(metadata ?? {});
  const plain = Object.keys(notes).length === 0;
  if (plain && Buffer.byteLength(whole.json) <= MAX_METADATA_BYTES) return whole;
  const given = toRecord(JSON.parse(whole.json));
  const ours = { ...toRecord(given[NOTES]), ...notes };
  const json = JSON.stringify({ ...given, [NOTES]: ours });
  const bytes = Buffer.byteLength(json);
  if (bytes <= MAX_METADATA_BYTES) return { ...whole, json };
  const dropped = { metadataDroppedBytes: bytes };
  const kept = JSON.stringify({ [NOTES]: { ...ours, ...dropped } });
  if (Buffer.byteLength(kept) <= MAX_METADATA_BYTES) return { ...whole, json: kept };
  return { ...whole, json: JSON.stringify({ [NOTES]: dropped }) };
}

/** A time as ISO 8601; the epoch for an invalid one, which can come from a journal and must not make every save fail. */
function timeText(time: Date): string {
  const known = Number.isFinite(time.getTime()) && time.getTime() >= 0;
  return (known && time.getTime() < YEAR_10000_MS ? time : new Date(0)).toISOString();
}

/** The key of our own notes in `metadata`. */
const NOTES = 'lastchunk';

const MAX_METADATA_BYTES = 64 * 1024;

/** From here on ISO 8601 has six digits for a year and a sign, which PostgreSQL does not read. */
const YEAR_10000_MS = Date.UTC(10_000, 0, 1);
