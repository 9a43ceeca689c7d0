/** Your own tables with Kysely, which writes the SQL; `postgres()` runs it on connections of its own. */
import {
  type Compilable,
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  sql,
} from 'kysely';
import { postgres, rankSql, type PgClient, type PostgresStore } from 'lastchunk/postgres';

interface Tables {
  conversations: { id: string; title: string | null };
  messages: {
    id: string;
    stream_id: string;
    revision: number;
    complete: boolean;
    content: string;
    conversation_id: string;
    role: string;
    outcome: string;
    created_at: Date;
  };
}

/** Never connects. */
const db = new Kysely<Tables>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (kysely) => new PostgresIntrospector(kysely),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
});

export function createStore(connectionString: string): PostgresStore {
  return postgres({
    connectionString,
    write: async (client, messages) => {
      for (const { conversationId, ...message } of messages) {
        if (conversationId === null) continue; // this app keeps no answer without a conversation
        const conversation = db
          .selectFrom('conversations')
          .select('id')
          .where('id', '=', conversationId)
          // The lock keeps it from being deleted before this transaction ends.
          .forKeyShare();
        const { rows } = await run(client, conversation);
        if (rows.length === 0) continue; // deleted meanwhile: nobody wants the answer
        const better = {
          revision: message.revision,
          complete: message.complete,
          content: message.text,
          outcome: message.outcome,
        };
        const insert = db
          .insertInto('messages')
          .values({
            ...better,
            id: message.id,
            stream_id: message.streamId,
            conversation_id: conversationId,
            role: message.role,
            created_at: message.startedAt,
          })
          .onConflict((conflict) =>
            conflict
              .column('id')
              .doUpdateSet(better)
              .where(sql<boolean>`${sql.raw(rankSql('messages'))}`),
          );
        await run(client, insert);
      }
    },
  });
}

function run(client: PgClient, query: Compilable) {
  const compiled = query.compile();
  return client.query(compiled.sql, compiled.parameters);
}
