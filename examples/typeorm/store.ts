/**
 * Your own tables with TypeORM, over the app's `DataSource`. Its `QueryFailedError` has the SQLSTATE of the driver as `code`,
 * so that a message which the database refuses is set aside by itself. A `DataSource` cannot be initialised while the database
 * is away, so an app that starts then has it done by the first save that can. A store of your own gets messages as they are: a
 * NUL character, which PostgreSQL does not store, is replaced here.
 */
import type { Message, MessageStore } from 'lastchunk';
import { rankSql } from 'lastchunk/postgres';

/** What is used of TypeORM's `DataSource`. */
export interface DataSourceLike {
  readonly isInitialized: boolean;
  initialize(): Promise<unknown>;
  transaction<T>(run: (manager: EntityManagerLike) => Promise<T>): Promise<T>;
  destroy(): Promise<void>;
}

export interface EntityManagerLike {
  query(sql: string, parameters: unknown[]): Promise<unknown>;
}

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

/** Give the `DataSource` a bound: `extra: { connectionTimeoutMillis: 2_000, statement_timeout: 5_000 }`. */
export function createStore(dataSource: DataSourceLike): MessageStore {
  let opening: Promise<unknown> | undefined;
  return {
    async save(messages) {
      if (!dataSource.isInitialized) {
        opening ??= dataSource.initialize().finally(() => (opening = undefined));
        await opening;
      }
      await dataSource.transaction(async (manager) => {
        for (const message of messages) await manager.query(INSERT, parametersOf(message));
      });
    },
    async close() {
      if (dataSource.isInitialized) await dataSource.destroy();
    },
  };
}

function parametersOf(message: Message): unknown[] {
  const { id, streamId, revision, complete, text } = message;
  const { conversationId, role, outcome, startedAt } = message;
  const rank = [id, streamId, revision, complete, text.replaceAll('\0', '\uFFFD')];
  return [...rank, conversationId, role, outcome, startedAt];
}
