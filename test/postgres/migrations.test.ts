import { describe, expect, it } from 'vitest';
import { postgres } from '../../src/postgres/index.ts';
import { useDatabase } from '../support/database.ts';
import { aMessage, look } from './messages.ts';

const database = useDatabase();

const applied = () =>
  look(database.url, 'SELECT table_name, version, name FROM lastchunk_migrations ORDER BY 1, 2');

describe('a migration', () => {
  it('creates the table with its index, reports that, and does nothing the second time', async () => {
    await using store = closing(postgres({ connectionString: database.url }));
    expect(await store.migrate()).toEqual({ version: 1, applied: ['messages'] });
    expect(await store.migrate()).toEqual({ version: 1, applied: [] });
    expect(await applied()).toEqual([
      { table_name: 'lastchunk_messages', version: 1, name: 'messages' },
    ]);
    const indexes = await look(
      database.url,
      "SELECT indexdef FROM pg_indexes WHERE tablename = 'lastchunk_messages'",
    );
    const definitions = indexes.map((row) => String(row['indexdef']).replace(/^.* USING /, ''));
    expect(definitions.toSorted()).toEqual([
      'btree (conversation_id, started_at)',
      'btree (id)',
      'btree (stream_id)',
    ]);
  });

  it('by eight pools at once creates one table', async () => {
    const stores = Array.from({ length: 8 }, () =>
      postgres({ connectionString: database.url, migrate: true }),
    );
    await Promise.all(stores.map((store) => store.save([aMessage()])));
    expect(await applied()).toHaveLength(1);
    expect(await look(database.url, 'SELECT FROM lastchunk_messages')).toHaveLength(8);
    await Promise.all(stores.map((store) => store.close()));
  });

  it('starts at once, without waiting for a first save', async () => {
    await using store = closing(postgres({ connectionString: database.url, migrate: true }));
    await store.close();
    expect(await applied()).toHaveLength(1);
  });

  it('that failed is repeated at the next save, and every save until then rejects with its error', async () => {
    await using store = closing(
      postgres({ connectionString: database.url, migrate: true, table: 'later.messages' }),
    );
    await expect(store.save([aMessage()])).rejects.toMatchObject({ code: '3F000' });
    await expect(store.save([aMessage()])).rejects.toMatchObject({ code: '3F000' });
    await look(database.url, 'CREATE SCHEMA later');
    await store.save([aMessage()]);
    expect(await look(database.url, 'SELECT FROM later.messages')).toHaveLength(1);
    expect(await look(database.url, 'SELECT table_name FROM later.lastchunk_migrations')).toEqual([
      { table_name: 'messages' },
    ]);
  });

  it('creates a separate table for each name, with any letters', async () => {
    const tables = ['lastchunk_messages', 'Order', 'select', 'päge-1$'];
    for (const table of tables) {
      await using store = closing(
        postgres({ connectionString: database.url, migrate: true, table }),
      );
      await store.save([aMessage({ id: table }), aMessage()]);
      await store.save([aMessage({ id: table })]);
      const kept = await look(database.url, `SELECT id FROM "${table}" WHERE id = $1`, [table]);
      expect(kept).toEqual([{ id: table }]);
    }
    expect(await applied()).toHaveLength(tables.length);
  });

  it('needs no right to create anything once the table exists', async () => {
    await using owner = closing(postgres({ connectionString: database.url }));
    await owner.migrate();
    await look(database.url, 'CREATE ROLE writer LOGIN');
    await look(database.url, 'GRANT SELECT, INSERT, UPDATE ON lastchunk_messages TO writer');
    await look(database.url, 'GRANT SELECT ON lastchunk_migrations TO writer');
    const writer = database.url.replace('postgres@', 'writer@');
    await using store = closing(postgres({ connectionString: writer, migrate: true }));
    await store.save([aMessage({ id: 'a' })]);
    await store.save([aMessage({ id: 'a', conversationId: 'another' }), aMessage()]);
    expect(await look(database.url, 'SELECT FROM lastchunk_messages')).toHaveLength(3);
  });

  it('does not change a table that a newer version has migrated', async () => {
    await using store = closing(postgres({ connectionString: database.url }));
    await store.migrate();
    await look(
      database.url,
      "INSERT INTO lastchunk_migrations (table_name, version, name) VALUES ('lastchunk_messages', 99, 'of tomorrow')",
    );
    expect(await store.migrate()).toEqual({ version: 99, applied: [] });
  });

  it('that fails creates nothing', async () => {
    await look(database.url, 'CREATE TABLE lastchunk_messages (id int)');
    await using store = closing(postgres({ connectionString: database.url }));
    await expect(store.migrate()).rejects.toMatchObject({ code: '42P07' });
    const left = await look(
      database.url,
      "SELECT to_regclass('lastchunk_migrations') AS migrations",
    );
    expect(left).toEqual([{ migrations: null }]);
  });
});

describe('a store without `migrate`', () => {
  it('rejects with the SQLSTATE of a missing table until the table exists', async () => {
    await using store = closing(postgres({ connectionString: database.url }));
    await expect(store.save([aMessage()])).rejects.toMatchObject({ code: '42P01' });
    await expect(store.save([aMessage(), aMessage()])).rejects.toMatchObject({ code: '42P01' });
    await store.migrate();
    await store.save([aMessage()]);
    expect(await look(database.url, 'SELECT FROM lastchunk_messages')).toHaveLength(1);
  });
});

/** The same store, closed at the end of its block. */
function closing<T extends { close(): Promise<void> }>(store: T): T & AsyncDisposable {
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}
