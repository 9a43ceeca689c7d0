/** Compares what is stored with what each client received and with what happened to its stream. */
import type { Conversation } from './conversation.ts';

/** The part of a row that is judged. */
export interface Row {
  readonly id: string;
  readonly stream_id: string;
  readonly conversation_id: string | null;
  readonly content: string;
  readonly complete: boolean;
  readonly outcome: string;
}

/** The figures of one fault. */
export interface Tally {
  readonly streams: number;
  /** Streams whose client received text. */
  readonly seen: number;
  /** Streams of which the received text is a prefix of a stored text. */
  readonly kept: number;
  readonly twice: number;
  /** Sentences that describe each failure. */
  readonly wrong: readonly string[];
}

/** The id of a message, and its conversation. */
export interface StoredId {
  readonly id: string;
  readonly conversation_id: string | null;
}

/** The rows of a fault's database. */
export interface Stored {
  ids(): Promise<readonly StoredId[]>;
  /** The rows of some conversations. */
  rowsOf(conversations: readonly string[]): Promise<readonly Row[]>;
}

/** Number of conversations that are judged together; limited because their texts may be large. */
const BATCH = 200;

/** Judges all conversations of a fault against all rows of its database. */
export async function judgeAll(
  conversations: readonly Conversation[],
  stored: Stored,
): Promise<Tally> {
  const known = new Set(conversations.map(({ id }) => id));
  const strangers = (await stored.ids()).filter((row) => !known.has(row.conversation_id ?? ''));
  const tally = { streams: conversations.length, seen: 0, kept: 0, twice: 0 };
  const wrong = strangers.map((row) => `row ${row.id} belongs to no stream`);
  for (let at = 0; at < conversations.length; at += BATCH) {
    const batch = conversations.slice(at, at + BATCH);
    const rows = new Map<string | null, Row[]>();
    for (const row of await stored.rowsOf(batch.map(({ id }) => id))) {
      const own = rows.get(row.conversation_id);
      if (own === undefined) rows.set(row.conversation_id, [row]);
      else own.push(row);
    }
    for (const conversation of batch) {
      const own = rows.get(conversation.id) ?? [];
      if (conversation.owed !== '') tally.seen += 1;
      if (own.length > 1) tally.twice += 1;
      if (own.some((row) => isKept(conversation, row))) tally.kept += 1;
      wrong.push(...wrongIn(conversation, own).map((what) => `${conversation.id}: ${what}`));
    }
  }
  return { ...tally, wrong };
}

function isKept({ owed }: Conversation, row: Row): boolean {
  return owed !== '' && row.content.startsWith(owed);
}

function wrongIn(conversation: Conversation, rows: readonly Row[]): string[] {
  const { leave, seen, owed, sawFinish, mayBeInterrupted } = conversation;
  const [row, ...more] = rows;
  if (more.length > 0) return [`stored ${rows.length} times`];
  const cutOff = leave === undefined && !sawFinish && !mayBeInterrupted;
  if (cutOff) return [`the client was cut off after ${conversation.tokens} tokens`];
  if (row !== undefined) return wrongInRow(conversation, row);
  return owed === '' && mayBeInterrupted ? [] : [`nothing stored, the client saw ${seen.length}`];
}

function wrongInRow(conversation: Conversation, row: Row): string[] {
  const { id, text, owed, messageId, streamId } = conversation;
  const wrong: string[] = [];
  if (!row.content.startsWith(owed)) wrong.push(`what was seen is no prefix of what is stored`);
  if (!text.startsWith(row.content)) wrong.push(`what is stored was never said`);
  if (messageId !== undefined && row.id !== messageId)
    wrong.push(`another message id than ${id}'s`);
  if (streamId !== undefined && row.stream_id !== streamId) wrong.push(`another stream id`);
  if (row.complete && row.content !== text) wrong.push('a part is stored as complete');
  const expected = outcomesOf(conversation, row.content === text);
  if (!expected.includes(row.outcome)) {
    wrong.push(`${row.outcome} is stored where ${expected.join(' or ')} happened`);
  } else if (!completesOf(conversation, row.outcome).includes(row.complete)) {
    wrong.push(`${row.outcome} with complete ${row.complete}, ${row.content.length} characters`);
  }
  return wrong;
}

/** The outcomes that are correct for a stream. If a client left in the middle, the server may have noticed only after the finish marker. */
function outcomesOf(
  { ask, leave, sawFinish, mayBeInterrupted }: Conversation,
  whole: boolean,
): string[] {
  // In an answer that its handler compresses the marker is not recognised, so only the end of the response is held.
  const isHeld = ask.handler !== 'encoded';
  if (sawFinish && isHeld) return ['completed'];
  if (sawFinish && !whole) return [];
  const stayed = sawFinish ? ['completed'] : [];
  const outcomes = leave === undefined ? stayed : ['disconnected', 'completed'];
  if (!mayBeInterrupted) return outcomes;
  // The finish marker may have been sent but not received when the process ended.
  if (whole) return ['completed', 'disconnected', 'interrupted'];
  // A client that had left before the signal has ended the stream, whatever came after.
  return leave === undefined ? ['interrupted'] : ['interrupted', 'disconnected'];
}

/** The correct values of `complete`. After a client leaves, only the end of the process cuts its answer short. */
function completesOf({ mayBeInterrupted }: Conversation, outcome: string): boolean[] {
  if (outcome === 'completed') return [true];
  if (outcome === 'interrupted') return [false];
  return mayBeInterrupted ? [true, false] : [true];
}
