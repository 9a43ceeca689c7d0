/** Your own tables with Knex, which writes the SQL; `postgres()` runs it on connections of its own. */
import createKnex from 'knex';
import { postgres, rankSql, type PgClient, type PostgresStore } from 'lastchunk/postgres';

/** Never connects. */
const knex = createKnex({ client: 'pg' });

export function createStore(connectionString: string): PostgresStore {
  return postgres({
    connectionString,
    write: async (client, messages) => {
      for (const message of messages) {
        const { conversationId, startedAt } = message;
        const conversation = knex('conversations').select('id').where({ id: conversationId });
        // The lock keeps it from being deleted before this transaction ends.
        const { rows } = await run(client, conversation.forKeyShare());
        if (rows.length === 0) continue; // deleted meanwhile: nobody wants the answer
        const insert = knex('messages')
          .insert({
            id: message.id,
            stream_id: message.streamId,
            revision: message.revision,
            complete: message.complete,
            content: message.text,
            conversation_id: conversationId,
            role: message.role,
            outcome: message.outcome,
            created_at: startedAt,
          })
          .onConflict('id')
          .merge(['revision', 'complete', 'content', 'outcome'])
          .whereRaw(rankSql('messages'));
        await run(client, insert);
      }
    },
  });
}

function run(client: PgClient, query: createKnex.Knex.QueryBuilder) {
  const { sql, bindings } = query.toSQL().toNative();
  return client.query(sql, bindings);
}
