/** Your own tables with `pg`: one statement for each message, in the transaction that `postgres()` opens. */
import { postgres, rankSql, type PostgresStore } from 'lastchunk/postgres';

/** A message of a conversation that was deleted meanwhile writes nothing: `WHERE EXISTS` finds no row. */
const INSERT = `
  INSERT INTO messages AS kept
    (id, stream_id, revision, complete, content, conversation_id, role, outcome, created_at)
  SELECT $1, $2, $3::int, $4::boolean, $5, $6, $7, $8, $9::timestamptz
  WHERE EXISTS (SELECT FROM conversations WHERE id = $6 FOR KEY SHARE)
  ON CONFLICT (id) DO UPDATE SET
    revision = excluded.revision, complete = excluded.complete,
    content = excluded.content, outcome = excluded.outcome
  WHERE ${rankSql('kept')}`;

export function createStore(connectionString: string): PostgresStore {
  return postgres({
    connectionString,
    write: async (client, messages) => {
      for (const { id, streamId, revision, complete, text, ...message } of messages) {
        const { conversationId, role, outcome, startedAt } = message;
        const rank = [id, streamId, revision, complete, text];
        await client.query(INSERT, [...rank, conversationId, role, outcome, startedAt]);
      }
    },
  });
}
