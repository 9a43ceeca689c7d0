/** What the log says of a save that failed: why, and never what a user wrote. */
import { expect, it, onTestFinished } from 'vitest';
import { describeError } from '../../src/core/error-words.ts';
import type { PgModule } from '../../src/core/pg-shapes.ts';
import { Connections } from '../../src/postgres/connections.ts';
import { postgres, type PostgresOptions } from '../../src/postgres/index.ts';
import { checkOptions } from '../../src/postgres/options.ts';
import { useDatabase } from '../support/database.ts';
import { aMessage, look, withClient } from './messages.ts';

const database = useDatabase();
const TEXT = 'what a user wrote';

/** What is said of a save that this store rejects. */
async function wordsOf(options: Partial<PostgresOptions>): Promise<string | undefined> {
  const own = options.connection === undefined ? { connectionString: database.url } : {};
  const store = postgres({ ...own, ...options });
  onTestFinished(() => store.close());
  const rejection: unknown = await store.save([aMessage({ text: TEXT })]).then(
    () => undefined,
    (error: unknown) => error,
  );
  const words = describeError(rejection);
  expect(words ?? '').not.toContain(TEXT);
  return words;
}

/** The parts of the address of the test's database. */
function parts() {
  const { hostname: host, port, username: user, pathname } = new URL(database.url);
  return { host, port: Number(port), user, database: pathname.slice(1) };
}

it('describes a server without TLS', async () => {
  const words = await wordsOf({ connection: { ...parts(), ssl: true } });
  expect(words).toContain('The server does not support SSL connections');
});

it('repeats the error of a password function, which runs before a message is sent', async () => {
  const pool = {
    on: () => undefined,
    connect: () => Promise.reject(new Error('the security token is expired')),
  };
  // True: of the module only this is used before a connection is there.
  const pg = { Pool: Object.assign(function () {}, { prototype: pool }) } as unknown as PgModule;
  const connections = new Connections(
    pg,
    checkOptions({ connectionString: database.url }),
    () => undefined,
  );
  const rejection: unknown = await connections.run('SELECT 1', []).catch((error: unknown) => error);
  expect(describeError(rejection)).toContain('the security token is expired');
});

it('describes that no connection became free', async () => {
  await look(database.url, 'CREATE TABLE held (id text)');
  const store = postgres({
    connectionString: database.url,
    maxConnections: 1,
    connectTimeoutMs: 200,
    write: (client) => client.query('LOCK TABLE held'),
  });
  onTestFinished(() => store.close());
  await withClient(database.url, async (ask) => {
    await ask('BEGIN');
    await ask('LOCK TABLE held');
    const first = store.save([aMessage()]);
    const second: unknown = await store.save([aMessage()]).catch((error: unknown) => error);
    expect(describeError(second)).toContain('timeout exceeded when trying to connect');
    await ask('COMMIT');
    await first;
  });
});

it('names the line at which write() threw', async () => {
  const write: PostgresOptions['write'] = (client) => {
    const missing = JSON.parse('{}') as { rows: Record<string, string> };
    return client.query(String(missing.rows['id']));
  };
  expect(await wordsOf({ write })).toMatch(
    /Cannot read properties of undefined .* at .*error-words\.test\.ts:\d+/,
  );
});

it('names the constraint, table and column that refuse a row', async () => {
  const store = postgres({ connectionString: database.url, migrate: true });
  await store.save([]);
  await store.close();
  const alter = (change: string) => look(database.url, `ALTER TABLE lastchunk_messages ${change}`);
  await alter("ADD CONSTRAINT polite CHECK (content <> 'what a user wrote')");
  expect(await wordsOf({})).toBe(
    'SQLSTATE 23514: constraint polite, schema public, table lastchunk_messages',
  );
  await alter('DROP CONSTRAINT polite');
  await alter('ADD owner text NOT NULL');
  expect(await wordsOf({})).toBe(
    'SQLSTATE 23502: schema public, table lastchunk_messages, column owner',
  );
});

it('names the database function that raised, without its message', async () => {
  const store = postgres({ connectionString: database.url, migrate: true });
  await store.save([]);
  await store.close();
  await look(
    database.url,
    `CREATE FUNCTION check_answer() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN RAISE EXCEPTION 'not %', NEW.content USING ERRCODE = '42501'; END $$;
     CREATE TRIGGER check_answer BEFORE INSERT ON lastchunk_messages
     FOR EACH ROW EXECUTE FUNCTION check_answer()`,
  );
  expect(await wordsOf({})).toBe(
    'SQLSTATE 42501: PL/pgSQL function check_answer() line 2 at RAISE',
  );
});
