/**
 * Saves a batch, nearly always with one statement. Rows that the statement did not write are then handled one by one. Either a row of the
 * same stream has a higher rank (nothing to do), or the id belongs to another stream, or the stream has a row under another id (saved
 * alone, under a free id).
 *
 * The stream identifies a message; the id is only what the app requested. So a stream never gets
 * a second row, and a row whose id belongs to another stream is never changed, unless both wrote the same answer: one
 * conversation, one role, and the text of the row with the higher rank begins with that of the other.
 */
import { randomUUID } from 'node:crypto';
import { LastchunkError, sqlstateOf } from '../core/errors.ts';
import { refuse } from '../core/refusal.ts';
import type { Connections } from './connections.ts';
import type { PgClient } from '../core/pg-shapes.ts';
import { underId } from './storable.ts';
import { columnValues, rowValues, standingValues } from './table.ts';
import type { Row, Statements } from './table.ts';

/** A message whose id was taken: it was saved under another one. */
export interface IdConflict {
  readonly requestedId: string;
  readonly messageId: string;
}

/** A batch in which no stream and no id occurs twice. */
export interface UniqueRows {
  /** Sorted by id: every process locks rows in the same order, so batches cannot deadlock. */
  readonly rows: readonly Row[];
  /** Other streams that request an id which is in `rows`. */
  readonly clashing: readonly Row[];
}

/** Keeps the highest rank of each stream, and the first stream of each id. */
export function uniqueRows(rows: readonly Row[]): UniqueRows {
  const byStream = new Map<string, Row>();
  for (const row of rows) {
    const other = byStream.get(row.stream_id);
    if (other === undefined || outranks(row, other)) byStream.set(row.stream_id, row);
  }
  const byId = new Map<string, Row>();
  const clashing: Row[] = [];
  for (const row of byStream.values()) {
    const other = byId.get(row.id);
    if (other === undefined || holds(row, other)) byId.set(row.id, row);
    else if (!holds(other, row)) clashing.push(row);
  }
  const sorted = [...byId.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return { rows: sorted, clashing };
}

/** Saves rows into the built-in table. Resolves, once all are committed, to the messages that were saved under another id. */
export async function saveRows(
  connections: Connections,
  sql: Statements,
  batch: readonly Row[],
): Promise<readonly IdConflict[]> {
  const { rows, clashing } = uniqueRows(batch);
  const contested = [...(await unsettled(connections, sql, rows)), ...clashing];
  const conflicts: IdConflict[] = [];
  for (const row of contested) {
    const messageId = await connections.transaction((client) => saveContested(client, sql, row));
    if (messageId !== undefined) conflicts.push({ requestedId: row.id, messageId });
  }
  return conflicts;
}

/** Runs the one statement; returns the rows that it did not write and that still have to be saved. */
async function unsettled(
  connections: Connections,
  sql: Statements,
  rows: readonly Row[],
): Promise<readonly Row[]> {
  const written = await upsert(connections, sql, rows);
  if (written === undefined) return rows;
  if (written === rows.length) return [];
  // Only now a query asks which rows were written: RETURNING would cost time in every batch. A row that is found under its id was written,
  // or was not replaced because its rank is not lower, which is a success as well. One query covers all rows, because after a lost answer
  // this concerns a whole batch.
  const kept = await connections.transaction((client) =>
    client.query(sql.kept, standingValues(rows)),
  );
  const settled = new Set(kept.rows.map((row) => row['stream_id']));
  return rows.filter((row) => !settled.has(row.stream_id));
}

/** How many rows were written; `undefined` if the stream of one of them has a row under another id. */
async function upsert(
  connections: Connections,
  sql: Statements,
  rows: readonly Row[],
): Promise<number | null | undefined> {
  const [only, ...others] = rows;
  if (only === undefined) return 0;
  try {
    const result =
      others.length === 0
        ? await connections.run(sql.upsertOne, rowValues(only), 'lastchunk_save_1')
        : await connections.run(sql.upsertMany, columnValues(rows), 'lastchunk_save_n');
    return result.rowCount;
  } catch (error) {
    if (sqlstateOf(error) === UNIQUE_VIOLATION) return undefined;
    throw error;
  }
}

/**
 * Saves one row in its own transaction, after the one statement did not write it. Resolves to the id under which it was saved instead of
 * its own, or to `undefined`. An insert waits for a concurrent insert of the same id or stream, so the statements after it see that row.
 */
async function saveContested(
  client: PgClient,
  sql: Statements,
  row: Row,
): Promise<string | undefined> {
  const inserts = async (candidate: Row): Promise<boolean> => {
    const inserted = await client.query(sql.insertNew, rowValues(candidate));
    return inserted.rowCount === 1;
  };
  if (await inserts(row)) return undefined;
  if (await joins(client, sql, row)) return undefined;
  if (await inserts(underId(row, row.stream_id))) return row.stream_id;
  if (await improve(client, sql, row)) return undefined;
  // Stream ids are not secret: a client may have requested one as a message id. A random UUID cannot be guessed. A conflict now can only
  // come from a constraint of the app's own, and the error 23505 names it.
  const last = underId(row, randomUUID());
  const inserted = await client.query(sql.insert, rowValues(last));
  if (inserted.rowCount === 1) return last.id;
  throw notWritten('INSERT');
}

/** Replaces the row of this stream, if the rank of `row` is higher. False if the stream has no row. */
async function improve(client: PgClient, sql: Statements, row: Row): Promise<boolean> {
  const replaced = await client.query(sql.replace, rowValues(row));
  if (replaced.rowCount === 1) return true;
  const { rows } = await client.query(sql.standing, standingValues([row]));
  if (rows.length === 0) return false;
  if (rows[0]?.['enough'] === true) return true;
  throw notWritten('UPDATE');
}

/**
 * Replaces the row of this id, if another stream wrote the same answer into it with a lower rank. True if the row of this id then holds the
 * message.
 */
async function joins(client: PgClient, sql: Statements, row: Row): Promise<boolean> {
  const joined = await client.query(sql.join, rowValues(row));
  if (joined.rowCount === 1) return true;
  const kept = await client.query(sql.kept, standingValues([row]));
  return kept.rows.length === 1;
}

/** No constraint failed and nothing conflicts: a trigger or a rule of the database suppressed the row without an error. */
function notWritten(command: string): Error {
  const words = `the ${command} was answered without an error and the table took no row (a trigger or a rule discarded it)`;
  return refuse(new LastchunkError('not-written', words), 'not-written');
}

/** Whether `row` makes `other`, which requests the same id, superfluous. The same condition as `kept` in SQL. */
function holds(row: Row, other: Row): boolean {
  const sameAnswer =
    other.content !== '' &&
    other.events === null &&
    row.conversation_id !== null &&
    row.conversation_id === other.conversation_id &&
    row.role === other.role;
  return sameAnswer && row.content.startsWith(other.content) && !outranks(other, row);
}

/** The same order as `rankSql` in SQL. */
function outranks(row: Row, other: Row): boolean {
  if (row.revision !== other.revision) return row.revision > other.revision;
  if (row.complete !== other.complete) return row.complete;
  return codePoints(row.content) > codePoints(other.content);
}

/** What `length()` counts in PostgreSQL. */
function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

const UNIQUE_VIOLATION = '23505';
