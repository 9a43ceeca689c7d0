/**
 * Checks that the table keeps what is written into it. A trigger, a rule or a policy may drop or change a row without an error, and only
 * reading the row back shows that. The transaction is rolled back, so no other session sees the row.
 */
import { randomUUID } from 'node:crypto';
import type { PgClient } from '../core/pg-shapes.ts';
import type { Connections } from './connections.ts';
import { toRow } from './storable.ts';
import { rowValues, statements, type Row, type Table } from './table.ts';

/** `swallowed`: the row does not exist; `changed`: its `content` or `complete` differs from what was written. */
type ReadBack = 'kept' | 'swallowed' | 'changed';

/** Writes one complete message without a conversation, and reads it back. Rejects with the error of `pg`. */
export async function readBack(connections: Connections, table: Table): Promise<ReadBack> {
  const row = exampleRow();
  let found: ReadBack = 'swallowed';
  try {
    await connections.transaction(async (client) => {
      await client.query(statements(table).insertNew, rowValues(row));
      found = await compare(client, table, row);
      throw new RolledBack();
    });
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error;
  }
  return found;
}

/** Ends the transaction without a commit: its connection is closed. */
class RolledBack extends Error {}

async function compare(client: PgClient, table: Table, row: Row): Promise<ReadBack> {
  const { rows } = await client.query(`SELECT content, complete FROM ${table.sql} WHERE id = $1`, [
    row.id,
  ]);
  const [kept] = rows;
  if (kept === undefined) return 'swallowed';
  const isSame = kept['content'] === row.content && kept['complete'] === row.complete;
  return isSame ? 'kept' : 'changed';
}

function exampleRow(): Row {
  const now = new Date();
  return toRow({
    id: randomUUID(),
    streamId: randomUUID(),
    conversationId: null,
    role: 'assistant',
    text: 'written and rolled back by lastchunk doctor',
    events: null,
    metadata: null,
    complete: true,
    outcome: 'completed',
    side: 'server',
    revision: 0,
    chunks: 1,
    bytes: 43,
    droppedBytes: 0,
    traceId: null,
    startedAt: now,
    endedAt: now,
  });
}
