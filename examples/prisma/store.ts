/**
 * Your own tables with Prisma. Prisma gives errors codes of its own (`P2010`) and puts the SQLSTATE into `meta`, where
 * lastchunk does not look: `refuse()` says which errors are of the message, and not of the database. A store of your own gets
 * messages as they are: a NUL character, which PostgreSQL does not store, is replaced here.
 */
import { refuse, type Message, type MessageStore } from 'lastchunk';
import { rankSql } from 'lastchunk/postgres';

/** What is used of a `PrismaClient`. */
export interface PrismaLike {
  $transaction<T>(
    run: (tx: PrismaTransactionLike) => Promise<T>,
    options?: { maxWait?: number; timeout?: number },
  ): Promise<T>;
  $disconnect(): Promise<void>;
}

export interface PrismaTransactionLike {
  $executeRawUnsafe(sql: string, ...values: unknown[]): Promise<number>;
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

export function createStore(prisma: PrismaLike): MessageStore {
  return {
    save: async (messages) => {
      try {
        await prisma.$transaction(
          async (tx) => {
            for (const message of messages) {
              await tx.$executeRawUnsafe(INSERT, ...parametersOf(message));
            }
          },
          { maxWait: 2_000, timeout: 5_000 },
        );
      } catch (error) {
        const sqlstate = sqlstateIn(error);
        throw sqlstate !== undefined && /^2[23]/.test(sqlstate) ? refuse(error, sqlstate) : error;
      }
    },
    close: () => prisma.$disconnect(),
  };
}

function parametersOf(message: Message): unknown[] {
  const { id, streamId, revision, complete, text } = message;
  const { conversationId, role, outcome, startedAt } = message;
  const rank = [id, streamId, revision, complete, text.replaceAll('\0', '\uFFFD')];
  return [...rank, conversationId, role, outcome, startedAt];
}

/** `meta.code` of Prisma to 6; `meta.driverAdapterError.cause.originalCode` with a driver adapter, as Prisma 7 has it. */
function sqlstateIn(error: unknown): string | undefined {
  const { meta } = error as {
    meta?: { code?: string; driverAdapterError?: { cause?: { originalCode?: string } } };
  };
  return meta?.driverAdapterError?.cause?.originalCode ?? meta?.code;
}
