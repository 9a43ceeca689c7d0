/** Your own tables with Drizzle, on the connection and in the transaction that `postgres()` opens. */
import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { boolean, integer, pgTable, text, timestamp } from 'drizzle-orm/pg-core';
import { postgres, rankSql, type PostgresStore } from 'lastchunk/postgres';
import type { PoolClient } from 'pg';

const conversations = pgTable('conversations', { id: text().primaryKey(), title: text() });
const messages = pgTable('messages', {
  id: text().primaryKey(),
  streamId: text('stream_id').notNull(),
  revision: integer().notNull(),
  complete: boolean().notNull(),
  content: text().notNull(),
  conversationId: text('conversation_id').notNull(),
  role: text().notNull(),
  outcome: text().notNull(),
  createdAt: timestamp('created_at', { withTimezone: true }).notNull(),
});

export function createStore(connectionString: string): PostgresStore {
  return postgres({
    connectionString,
    write: async (client, answers) => {
      // It is one: the declarations of lastchunk only promise less of it, so that they need no types of pg.
      const db = drizzle({ client: client as unknown as PoolClient });
      for (const { conversationId, ...answer } of answers) {
        if (conversationId === null) continue; // this app keeps no answer without a conversation
        const [conversation] = await db
          .select({ id: conversations.id })
          .from(conversations)
          .where(eq(conversations.id, conversationId))
          // The lock keeps it from being deleted before this transaction ends.
          .for('key share');
        if (conversation === undefined) continue; // deleted meanwhile: nobody wants the answer
        const { id, streamId, role, startedAt: createdAt } = answer;
        const { revision, complete, text: content, outcome } = answer;
        await db
          .insert(messages)
          .values({
            id,
            streamId,
            conversationId,
            role,
            createdAt,
            revision,
            complete,
            content,
            outcome,
          })
          .onConflictDoUpdate({
            target: messages.id,
            set: { revision, complete, content, outcome },
            setWhere: sql.raw(rankSql('messages')),
          });
      }
    },
  });
}
