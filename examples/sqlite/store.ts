/**
 * A store over SQLite (`node:sqlite`, from Node 22.5 on). The rank is compared by hand, because `rankSql` is for PostgreSQL's
 * `ON CONFLICT`; what SQLite can never take is said with `refuse()`.
 */
import { refuse, type MessageStore } from 'lastchunk';

/** What is used of `DatabaseSync` of `node:sqlite`. */
export interface SqliteLike {
  exec(sql: string): void;
  prepare(sql: string): { run(...values: (string | number | null)[]): unknown };
  close(): void;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, stream_id TEXT NOT NULL, revision INTEGER NOT NULL, complete INTEGER NOT NULL,
    content TEXT NOT NULL, conversation_id TEXT, role TEXT NOT NULL, outcome TEXT NOT NULL, created_at TEXT NOT NULL
  ) STRICT`;

/** SQLite compares rows as PostgreSQL does. */
const UPSERT = `
  INSERT INTO messages (id, stream_id, revision, complete, content, conversation_id, role, outcome, created_at)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET
    revision = excluded.revision, complete = excluded.complete,
    content = excluded.content, outcome = excluded.outcome
  WHERE stream_id = excluded.stream_id
    AND (excluded.revision, excluded.complete, length(excluded.content))
      > (revision, complete, length(content))`;

export function createStore(database: SqliteLike): MessageStore {
  // One process may wait for another one's write; FULL: what is saved is on the disk.
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000');
  database.exec(SCHEMA);
  const upsert = database.prepare(UPSERT);
  return {
    save: async (messages) => {
      database.exec('BEGIN IMMEDIATE');
      try {
        for (const { id, streamId, revision, complete, text, ...message } of messages) {
          const { conversationId, role, outcome, startedAt } = message;
          const rank = [id, streamId, revision, Number(complete), text] as const;
          upsert.run(...rank, conversationId, role, outcome, startedAt.toISOString());
        }
        database.exec('COMMIT');
      } catch (error) {
        database.exec('ROLLBACK');
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH (sqlite.org/rescode.html): of the message, whenever it comes.
        const { errcode } = error as { errcode?: number };
        const isRefused = errcode !== undefined && [18, 19, 20].includes(errcode & 0xff);
        throw isRefused ? refuse(error, `sqlite-${errcode}`) : error;
      }
    },
    close: async () => database.close(),
  };
}
