import { expect, it } from 'vitest';
import { runMigrate } from '../../src/cli/migrate.ts';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../support/imports.ts';
import { look } from '../postgres/messages.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();

async function run(argv: readonly string[], env: Record<string, string> = {}) {
  const written = { stdout: '', stderr: '' };
  const exitCode = await runMigrate(argv, {
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
    env,
  });
  return { exitCode, ...written };
}

it('creates the table and prints that, then prints that it is up to date', async () => {
  expect(await run(['--database-url', database.url])).toEqual({
    exitCode: 0,
    stdout: 'lastchunk_messages is now at version 1 (applied: messages)\n',
    stderr: '',
  });
  expect(await run(['--database-url', database.url])).toEqual({
    exitCode: 0,
    stdout: 'lastchunk_messages is up to date (version 1)\n',
    stderr: '',
  });
});

it('reads the database from DATABASE_URL and the table from its option', async () => {
  const { exitCode } = await run(['--table', 'answers'], { DATABASE_URL: database.url });
  expect(exitCode).toBe(0);
  expect(await look(database.url, "SELECT to_regclass('answers') IS NOT NULL AS made")).toEqual([
    { made: true },
  ]);
});

it('can run many times at once', async () => {
  const runs = await Promise.all(
    Array.from({ length: 8 }, () => run(['--database-url', database.url])),
  );
  expect(runs.map(({ exitCode }) => exitCode)).toEqual(Array(8).fill(0));
  expect(runs.filter(({ stdout }) => stdout.includes('applied: messages'))).toHaveLength(1);
});

it('prints the error of the database without the password, and fails', async () => {
  const wrong = database.url.replace('postgres@', 'nobody:secret@');
  const { exitCode, stdout, stderr } = await run(['--database-url', wrong]);
  expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  expect(stderr).toMatch(/lastchunk_messages is not migrated: .*nobody.*\(28000\)\n$/);
  expect(stderr).not.toContain('secret');
  const schema = await run(['--database-url', database.url, '--table', 'missing.messages']);
  expect(schema).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('(3F000)') });
});

it('reports that the database does not answer', async () => {
  const away = await run(['--database-url', 'postgres://localhost:1/db']);
  expect(away).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('ECONNREFUSED') });
});

it('prints its help', async () => {
  expect(await run(['--help'])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('--database-url URL'),
  });
});

it('refuses wrong arguments', async () => {
  await expect(run([])).rejects.toMatchObject({
    code: 'bad-option',
    message: expect.stringContaining('DATABASE_URL'),
  });
  await expect(run(['--database-url', ''])).rejects.toMatchObject({ code: 'bad-option' });
  await expect(run(['--databse-url', database.url])).rejects.toThrow(/--databse-url/);
  await expect(run(['--database-url', database.url, '--table', 'a"b'])).rejects.toMatchObject({
    code: 'bad-option',
  });
});

it('prints a script that creates the same table, which it then finds up to date', async () => {
  const printed = await run(['--print']);
  expect(printed).toMatchObject({ exitCode: 0, stderr: '' });
  await look(database.url, printed.stdout);
  expect(await run(['--database-url', database.url])).toMatchObject({
    stdout: 'lastchunk_messages is up to date (version 1)\n',
  });
  await run(['--database-url', database.url, '--table', 'migrated']);
  const columns = (table: string) =>
    look(
      database.url,
      `SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns
       WHERE table_name = '${table}' ORDER BY ordinal_position`,
    );
  const made = await columns('lastchunk_messages');
  expect(made).toEqual(await columns('migrated'));
  const page = await readFile(join(ROOT, 'docs/table.md'), 'utf8');
  const listed = [...page.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  expect(listed).toEqual(made.map(({ column_name: name }) => name));
});

it('prints the script for a table in a schema', async () => {
  const { stdout } = await run(['--print', '--table', 'chat.answers']);
  await look(database.url, `CREATE SCHEMA chat; ${stdout}`);
  const argv = ['--database-url', database.url, '--table', 'chat.answers'];
  expect((await run(argv)).stdout).toBe('chat.answers is up to date (version 1)\n');
});

it('finds the database by PGHOST and its like, as the app does', async () => {
  const { hostname, port, username, pathname } = new URL(database.url);
  const env = {
    PGHOST: hostname,
    PGPORT: port,
    PGUSER: username,
    PGDATABASE: pathname.slice(1),
  };
  expect((await run([], env)).exitCode).toBe(0);
  await expect(run([], {})).rejects.toThrow(
    'no database: give `--database-url URL`, or set DATABASE_URL or PGHOST and the like',
  );
  await expect(run([], { ...env, PGPORT: 'x' })).rejects.toThrow(
    'PGPORT must be a whole number, not "x"',
  );
});

it('creates the table that the query of docs/table.md reads', async () => {
  await run(['--database-url', database.url]);
  const page = await readFile(join(ROOT, 'docs/table.md'), 'utf8');
  const [, query = ''] = /```sql\n(SELECT.*?)```/s.exec(page) ?? [];
  expect(await look(database.url, query, ['c1'])).toEqual([]);
});

it('creates the tables of the relay with --relay, in a schema and durable', async () => {
  const url = ['--database-url', database.url];
  expect(await run([...url, '--relay'])).toEqual({
    exitCode: 0,
    stdout: 'lastchunk_relay is now at version 1 (applied: relay)\n',
    stderr: '',
  });
  expect((await run([...url, '--relay'])).stdout).toContain('up to date');
  await look(database.url, 'CREATE SCHEMA chat');
  expect((await run([...url, '--relay', '--schema', 'chat', '--durable'])).exitCode).toBe(0);
  const kind =
    "SELECT relpersistence AS kind FROM pg_class WHERE oid = 'chat.lastchunk_relay_parts'::regclass";
  expect(await look(database.url, kind)).toEqual([{ kind: 'p' }]);
  expect((await run([...url, '--relay', '--schema', 'nowhere'])).exitCode).toBe(1);
});

it('refuses options that do not belong together', async () => {
  const url = ['--database-url', database.url];
  await expect(run([...url, '--durable'])).rejects.toThrow('`--relay`');
  await expect(run([...url, '--relay', '--table', 'messages'])).rejects.toThrow('`--table`');
});

it.each([
  ['in the search path', []],
  ['in a schema, durable', ['--schema', 'chat', '--durable']],
])('prints a script that creates the tables of the relay %s', async (_where, where) => {
  await look(database.url, 'DROP SCHEMA IF EXISTS chat CASCADE; CREATE SCHEMA chat');
  const printed = await run(['--print', '--relay', ...where]);
  expect(printed).toMatchObject({ exitCode: 0, stderr: '' });
  expect(printed.stdout).toMatch(/^CREATE TABLE IF NOT EXISTS/);
  expect(printed.stdout).not.toContain('lastchunk_messages');
  await look(database.url, printed.stdout);
  const argv = ['--database-url', database.url, '--relay', ...where];
  expect((await run(argv)).stdout).toBe('lastchunk_relay is up to date (version 1)\n');
});

it('refuses a name for the tables of the relay', async () => {
  await expect(run(['--print', '--relay', '--table', 'a'])).rejects.toThrow(
    'the tables of the relay have names of their own: leave out `--table`',
  );
});
