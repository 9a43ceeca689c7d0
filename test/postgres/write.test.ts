import pg from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import { Connections } from '../../src/postgres/connections.ts';
import { postgres, rankSql } from '../../src/postgres/index.ts';
import type { IdConflict, StorableMessage, WriteMessages } from '../../src/postgres/index.ts';
import { checkOptions, loadPg } from '../../src/postgres/options.ts';
import type { PgModule } from '../../src/core/pg-shapes.ts';
import { useDatabase } from '../support/database.ts';
import { aMessage, look } from './messages.ts';

const database = useDatabase();
beforeEach(async () => {
  await look(
    database.url,
    'CREATE TABLE answers (id text PRIMARY KEY, stream_id text, content text, revision int, complete boolean)',
  );
});

const insert: WriteMessages = async (client, messages) => {
  for (const { id, streamId, text, revision, complete } of messages) {
    await client.query(
      `INSERT INTO answers (id, stream_id, content, revision, complete) VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (id) DO UPDATE SET content = excluded.content, revision = excluded.revision, complete = excluded.complete
       WHERE ${rankSql('answers')}`,
      [id, streamId, text, revision, complete],
    );
  }
};
const answers = () => look(database.url, 'SELECT id, content FROM answers ORDER BY id');

describe('write() of the app', () => {
  it('writes into its own table, with the SQL of the rank that it receives', async () => {
    const store = postgres({ connectionString: database.url, write: insert });
    await store.save([aMessage({ id: 'a', streamId: 's', text: 'whole' })]);
    await store.save([
      aMessage({ id: 'a', streamId: 's', text: 'partial, longer', complete: false }),
    ]);
    await store.save([aMessage({ id: 'a', streamId: 'other', text: 'not yours', revision: 9 })]);
    expect(await answers()).toEqual([{ id: 'a', content: 'whole' }]);
    await store.close();
  });

  it('is rolled back completely when it rejects, and its error is passed on unchanged', async () => {
    const store = postgres({
      connectionString: database.url,
      write: async (client, messages) => {
        await insert(client, messages);
        await client.query("INSERT INTO answers (id) VALUES ('\\x00'::bytea::text), (NULL)");
      },
    });
    await expect(store.save([aMessage()])).rejects.toMatchObject({ code: '23502' });
    expect(await answers()).toEqual([]);
    const thrown = new Error('the app said no');
    const refusing = postgres({
      connectionString: database.url,
      write: () => Promise.reject(thrown),
    });
    await expect(refusing.save([aMessage()])).rejects.toBe(thrown);
    await Promise.all([store.close(), refusing.close()]);
  });

  it('never runs in a transaction that another save left open', async () => {
    const store = postgres({
      connectionString: database.url,
      maxConnections: 1,
      write: async (client, messages) => {
        await insert(client, messages);
        if (messages[0]?.id === 'bad') throw new Error('after the insert');
      },
    });
    await expect(store.save([aMessage({ id: 'bad' })])).rejects.toThrow('after the insert');
    await store.save([aMessage({ id: 'good' })]);
    expect(await answers()).toEqual([{ id: 'good', content: 'Hello' }]);
    await store.close();
  });

  it('receives storable messages, each id once and in order', async () => {
    const seen: (readonly StorableMessage[])[] = [];
    const conflicts: IdConflict[] = [];
    const store = postgres({
      connectionString: database.url,
      write: async (client, messages) => {
        seen.push(messages);
        await insert(client, messages);
      },
    });
    store.listen({ onIdConflict: (conflict) => conflicts.push(conflict) });
    const whole = aMessage({
      id: 'b',
      streamId: 'first',
      text: 'nul \0 and \ud800',
      events: [{ 'key\0': '\udc00' }],
      metadata: { a: 1 },
      traceId: 'f'.repeat(32),
    });
    await store.save([
      whole,
      { ...whole, text: 'p', complete: false },
      aMessage({ id: 'b', streamId: 'second', startedAt: new Date(NaN) }),
      aMessage({ id: 'a' }),
    ]);
    expect(seen).toHaveLength(1);
    expect(seen[0]?.map(({ id }) => id)).toEqual(['a', 'b', 'second']);
    expect(seen[0]?.[1]).toEqual({
      ...whole,
      text: 'nul \ufffd and \ufffd',
      events: [{ 'key\ufffd': '\ufffd' }],
      replaced: 4,
    });
    expect(seen[0]?.[2]).toMatchObject({
      metadata: { lastchunk: { requestedId: 'b' } },
      startedAt: new Date(0),
    });
    expect(conflicts).toEqual([{ requestedId: 'b', messageId: 'second' }]);
    await store.close();
  });
});

describe('a driver that does not expose its protocol, as the bindings of libpq', () => {
  it('needs three round trips for the same result', async () => {
    const settings = checkOptions({ connectionString: database.url, statementTimeoutMs: 4321 });
    // True: our types describe a part of what pg has. The pool lends real clients, less their connection.
    const native = { Pool: NarrowPool, Query: pg.Query } as unknown as PgModule;
    for (const [name, module] of Object.entries({ ours: loadPg(), native })) {
      const connections = new Connections(module, settings, () => undefined);
      const sql =
        "INSERT INTO answers (id, content) VALUES ($1, current_setting('statement_timeout')) RETURNING id";
      const id = `${name} 1`;
      expect(await connections.run(sql, [id])).toMatchObject({ rows: [{ id }], command: 'INSERT' });
      await expect(connections.run(sql, [id])).rejects.toMatchObject({ code: '23505' });
      await connections.run(sql, [`${name} 2`]);
      await connections.close();
    }
    expect(await answers()).toEqual(
      ['native 1', 'native 2', 'ours 1', 'ours 2'].map((id) => ({ id, content: '4321ms' })),
    );
  });
});

class NarrowPool {
  readonly #pool: pg.Pool;
  constructor(config: pg.PoolConfig) {
    this.#pool = new pg.Pool(config);
  }
  on(event: 'error', listener: (error: Error) => void): void {
    this.#pool.on(event, listener);
  }
  async connect() {
    const client = await this.#pool.connect();
    return {
      query: (text: string, values?: unknown[]) => client.query(text, values),
      release: (destroy?: boolean) => client.release(destroy),
      on: (event: 'error', listener: (error: Error) => void) => client.on(event, listener),
      off: (event: 'error', listener: (error: Error) => void) => client.off(event, listener),
    };
  }
  end(): Promise<void> {
    return this.#pool.end();
  }
}
