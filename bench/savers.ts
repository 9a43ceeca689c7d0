/**
 * Two ways of saving a message into one database: through the saver, and the same statement sent by hand, once per
 * message, through a pool of the same size.
 */
import pg from 'pg';
import type { Message } from '../src/core/message.ts';
import type { StreamView } from '../src/core/observer.ts';
import { load, type Built } from './built.ts';

/** Connections of each of the two; what the store has by itself. */
const CONNECTIONS = 4;

/** Both ways, and the table they share. */
export interface Savers {
  readonly guarded: (message: Message) => Promise<void>;
  readonly byHand: (message: Message) => Promise<void>;
  /** Empties the table. */
  empty(): Promise<void>;
  /** Rows in it. */
  count(): Promise<number>;
  close(): Promise<void>;
}

/** Makes both ways into the database, and the table. */
export async function createSavers(built: Built, connectionString: string): Promise<Savers> {
  const { MessageKeeper } = await load(built.directory, 'saver/index.js');
  const { combine } = await load(built.directory, 'core/observer.js');
  const { postgres } = await load(built.directory, 'postgres/index.js');
  const { parseTable, statements } = await load(built.directory, 'postgres/table.js');
  const store = postgres({ connectionString, migrate: true });
  await store.migrate();
  const keeper = new MessageKeeper({
    store,
    journal: undefined,
    read: () => {
      throw new Error('nothing is read without a journal');
    },
    observer: combine([], fail),
    logger: { debug: ignore, info: ignore, warn: ignore, error: ignore },
  });
  const pool = new pg.Pool({ connectionString, max: CONNECTIONS });
  const { upsertOne } = statements(parseTable(undefined));
  return {
    guarded: async (message) => {
      const stream = viewOf(message);
      const { result } = keeper.save({ ...SAVE, message, stream });
      const saved = await result;
      if (saved.result !== 'saved') throw new Error(`${saved.result}: ${saved.errorType}`);
    },
    byHand: (message) => saveByHand(pool, upsertOne, message),
    empty: async () => void (await pool.query('TRUNCATE lastchunk_messages')),
    count: async () => {
      const { rows } = await pool.query<{ count: string }>(
        'SELECT count(*) AS count FROM lastchunk_messages',
      );
      return Number(rows[0]?.count);
    },
    close: async () => {
      await keeper.close(5_000);
      await pool.end();
    },
  };
}

/** What is the same for each save: somebody waits for it, and nobody gives it up. */
export const SAVE = {
  log: undefined,
  holds: () => true,
  confirmTimeoutMs: 60_000,
  missingAfterMs: 600_000,
} as const;

/** One message, by the statement for one. */
export async function saveByHand(
  pool: pg.Pool,
  upsertOne: string,
  message: Message,
): Promise<void> {
  const { rowCount } = await pool.query(upsertOne, values(message));
  if (rowCount !== 1) throw new Error('not written');
}

/** What an app would write: each field in its place, nothing checked. */
function values(message: Message): unknown[] {
  return [
    message.id,
    message.streamId,
    message.conversationId,
    message.role,
    message.text,
    message.complete,
    message.outcome,
    message.side,
    message.revision,
    null,
    JSON.stringify(message.metadata),
    message.chunks,
    message.bytes,
    message.droppedBytes,
    0,
    message.traceId,
    message.startedAt,
    message.endedAt,
  ];
}

/** The stream of a message, as the saver is told of it. */
export function viewOf({ streamId, chunks, bytes, startedAt }: Message): StreamView {
  return {
    id: streamId,
    route: '/chat',
    method: 'POST',
    guarded: true,
    format: 'openai',
    startedAtMs: startedAt.getTime(),
    chunks,
    bytes,
  };
}

function ignore(): void {
  // Nobody reads it.
}

function fail(error: unknown): void {
  throw error;
}
