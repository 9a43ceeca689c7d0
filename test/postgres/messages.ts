/** Messages for tests of the store, and a client beside the store to look at what it did. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Message } from '../../src/core/message.ts';

/** A complete message of a stream of its own; what is given replaces what is made up. */
export function aMessage(given: Partial<Message> = {}): Message {
  const id = randomUUID();
  return {
    id,
    streamId: given.id === undefined ? id : randomUUID(),
    conversationId: 'conversation',
    role: 'assistant',
    text: 'Hello',
    events: null,
    metadata: null,
    complete: true,
    outcome: 'completed',
    side: 'server',
    revision: 0,
    chunks: 3,
    bytes: 5,
    droppedBytes: 0,
    traceId: null,
    startedAt: new Date('2026-01-02T03:04:05.678Z'),
    endedAt: new Date('2026-01-02T03:04:06.789Z'),
    ...given,
  };
}

export type Look = (sql: string, values?: unknown[]) => Promise<readonly Record<string, unknown>[]>;

/** Runs `use` with a connection that has nothing to do with the store. */
export async function withClient<T>(
  connectionString: string,
  use: (look: Look) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString });
  // A test may stop the server under it.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(async (sql, values) => {
      // True: without `rowMode` every row is an object.
      const result = await client.query(sql, values);
      return result.rows as Record<string, unknown>[];
    });
  } finally {
    await client.end();
  }
}

/** One query on a connection of its own. */
export function look(
  connectionString: string,
  sql: string,
  values?: unknown[],
): Promise<readonly Record<string, unknown>[]> {
  return withClient(connectionString, (ask) => ask(sql, values));
}
