import { pathToFileURL } from 'node:url';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { LastchunkError } from '../../src/core/errors.ts';
import { postgres } from '../../src/postgres/index.ts';
import { loadPg } from '../../src/postgres/options.ts';
import { parseTable } from '../../src/postgres/table.ts';

const url = 'postgres://user:secret@127.0.0.1:1/db';
const SPACED = 'postgres://user:"secret 12345@host/db';

/** Called as from JavaScript, where the types hold nothing back. */
function refusal(options: unknown): LastchunkError {
  try {
    postgres(options as Parameters<typeof postgres>[0]); // untrue on purpose
  } catch (error) {
    if (error instanceof LastchunkError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

describe('options', () => {
  const table: readonly [string, unknown, string][] = [
    ['no options', undefined, 'connectionString'],
    ['an unknown option', { connectionString: url, pool: 3 }, '`pool`'],
    ['an environment variable that is not set', { connectionString: undefined }, 'environment'],
    ['something else than a URL', { connectionString: 'mysql://user:secret@h/d' }, 'postgres://'],
    ['a URL and its parts', { connectionString: url, connection: {} }, 'not both'],
    ['an unknown part', { connection: { hostname: 'h' } }, '`hostname`'],
    ['a port out of range', { connection: { port: 0 } }, '65535'],
    ['a password of a wrong type', { connection: { password: 12345 } }, '`connection.password`'],
    ['an empty host', { connection: { host: '' } }, '`connection.host`'],
    ['ssl as a word', { connection: { ssl: 'require' } }, '`connection.ssl`'],
    ['a flag that is a word', { connectionString: url, migrate: 'yes' }, '`migrate`'],
    ['no connections', { connectionString: url, maxConnections: 0 }, 'from 1 to 100'],
    ['no time to connect', { connectionString: url, connectTimeoutMs: 0 }, '60000'],
    ['half a millisecond', { connectionString: url, statementTimeoutMs: 0.5 }, '600000'],
    ['a write that is no function', { connectionString: url, write: 'INSERT' }, '`write`'],
    [
      'own SQL with our table',
      { connectionString: url, write: async () => undefined, migrate: true },
      '`write`',
    ],
    ['a table with a quote', { connectionString: url, table: 'a"; DROP TABLE b; --' }, '`table`'],
    ['an address alone', url, 'takes options'],
    ['an address as the table', { connectionString: url, table: url }, '`table`'],
    ['an address as an option', { connectionString: url, [url]: true }, 'unknown option'],
    ['an address as the host', { connection: { host: 'h', port: url } }, '`connection.port`'],
    [
      'a password that is not encoded',
      { connectionString: 'postgres://user:se/secret#12345@host/db' },
      'percent-encoded',
    ],
    [
      'an address with a space in its password',
      { connectionString: url, table: SPACED },
      '`table`',
    ],
    ['such an address as an option', { connectionString: url, [SPACED]: true }, 'unknown option'],
    ['a table that is a number', { connectionString: url, table: 7 }, '`table`'],
  ];
  it.each(table)('refuse %s', (_, options, words) => {
    const error = refusal(options);
    expect(error.code).toBe('bad-option');
    expect(error.message).toContain(words);
    expect(error.message).not.toMatch(/secret|12345/);
  });

  it.each([
    'postgres://user:p%23w@host:5432/db?sslmode=require',
    'postgresql:///db?host=/var/run/postgresql',
    'postgres://user@/db',
    'postgres://%2Fvar%2Frun/db',
    'postgres://user:a b@host/db',
  ])('accept the URL %s', async (connectionString) => {
    const store = postgres({ connectionString });
    expect(store.pool()).toMatchObject({ max: 4 });
    await store.close();
  });

  it('accept an unreachable database: saves reject, and ping() returns false', async () => {
    const store = postgres({ connectionString: url, migrate: true });
    await expect(store.save([])).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await store.ping()).toBe(false);
    expect(store.pool()).toEqual({ total: 0, idle: 0, waiting: 0, max: 4 });
    await store.close();
  });

  it('accept the parts of a connection', async () => {
    const store = postgres({
      connection: { host: '127.0.0.1', port: 1, user: 'u', password: () => 'p', ssl: false },
    });
    expect(await store.ping()).toBe(false);
    await store.close();
  });
});

describe('a table name', () => {
  it.each([
    [undefined, '"lastchunk_messages"', '"lastchunk_migrations"'],
    ['messages', '"messages"', '"lastchunk_migrations"'],
    ['Chat.Messages', '"Chat"."Messages"', '"Chat"."lastchunk_migrations"'],
    ['_a-b$1', '"_a-b$1"', '"lastchunk_migrations"'],
    ['x'.repeat(63), `"${'x'.repeat(63)}"`, '"lastchunk_migrations"'],
  ])('%s is quoted', (name, sql, migrationsSql) => {
    expect(parseTable(name)).toMatchObject({ sql, migrationsSql });
  });

  it.each(['', '.', 'a.', '.a', 'a.b.c', '1a', 'a b', "a'b", 'a"b', 'a;b', 'a\0b', 'é'.repeat(32)])(
    '%j is refused',
    (name) => {
      expect(() => parseTable(name)).toThrow(/`table` must be/);
    },
  );
});

describe('the package pg', () => {
  it('may be passed as an option, as a default import and as a namespace', async () => {
    const namespace = await import('pg');
    expect(loadPg(pg, [])).toBe(pg);
    expect(loadPg(namespace, [])).toBe(pg);
    const connectionString = 'postgres://127.0.0.1:1/none';
    await postgres({ connectionString, pg }).close();
    await postgres({ connectionString, pg: namespace }).close();
  });

  it('is refused if it is another module', () => {
    expect(() => loadPg({ Pool: class {} })).toThrow(/`pg` must be the module pg/);
  });

  it('is named in the error if it is not installed', () => {
    const elsewhere = pathToFileURL('/nowhere/lastchunk/postgres.js').href;
    expect(() => loadPg(undefined, [elsewhere])).toThrow(
      expect.objectContaining({
        code: 'missing-peer',
        message: expect.stringContaining('npm install pg'),
        cause: expect.objectContaining({ code: 'MODULE_NOT_FOUND' }),
      }),
    );
  });
});

describe('the fingerprint of a store', () => {
  const of = (options: Parameters<typeof postgres>[0]): string | undefined => {
    const store = postgres(options);
    void store.close();
    return store.fingerprint;
  };

  it('is the same for one address in any form', () => {
    const parts = { host: '127.0.0.1', port: 1, user: 'other', password: 'p', database: 'db' };
    expect(of({ connection: parts })).toBe(of({ connectionString: url }));
    expect(of({ connectionString: url, maxConnections: 9 })).toBe(of({ connectionString: url }));
    expect(of({ connection: { ...parts, host: 'DB.Example' } })).toBe(
      of({ connection: { ...parts, host: 'db.example' } }),
    );
  });

  it('differs by database, port, host, table and own SQL, and contains none of them', () => {
    const base = { host: '127.0.0.1', port: 1, database: 'db' };
    const all = [
      of({ connection: base }),
      of({ connection: { ...base, database: 'test' } }),
      of({ connection: { ...base, port: 2 } }),
      of({ connection: { ...base, host: 'elsewhere' } }),
      of({ connection: base, table: 'messages' }),
      of({ connection: base, write: () => Promise.resolve() }),
    ];
    expect(new Set(all).size).toBe(all.length);
    for (const one of all) expect(one).toMatch(/^[0-9a-f]{16}$/);
  });

  it('is undefined if the driver does not show the address', () => {
    const narrow = { Pool: pg.Pool, Query: pg.Query };
    expect(of({ connectionString: url, pg: narrow })).toBeUndefined();
  });
});
