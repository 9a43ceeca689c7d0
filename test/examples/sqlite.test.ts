/** The example of a store over SQLite. Node has it from 22.5 on. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createStore } from '../../examples/sqlite/store.ts';
import { refusalOf } from '../../src/core/refusal.ts';
import { aMessage } from '../postgres/messages.ts';
import { startScript } from '../support/child-process.ts';
import { ROOT } from '../support/imports.ts';
import { until } from '../support/until.ts';
import { readUntil, WHOLE } from './read-until.ts';
import { sqlite } from './stores.ts';

interface Selection {
  run(): unknown;
  all(): readonly Record<string, unknown>[];
}

it('keeps the best version of a message, and refuses what SQLite can never store', async () => {
  if (sqlite === undefined) {
    return console.log(`Node ${process.versions.node} has no node:sqlite: not run here`);
  }
  const database = new sqlite.DatabaseSync(':memory:');
  const store = createStore(database);
  const a = { id: 'a', streamId: 's' };
  await store.save([aMessage({ ...a, text: 'part', complete: false })]);
  await store.save([aMessage({ ...a, text: 'whole' }), aMessage({ id: 'b' })]);
  await store.save([aMessage({ ...a, text: 'a longer part', complete: false })]);
  await store.save([aMessage({ ...a, text: 'of another', streamId: 'other', revision: 9 })]);
  const select = database.prepare('SELECT id, content FROM messages ORDER BY id') as Selection;
  const rows = () => select.all();
  expect(rows().map((row) => ({ ...row }))).toEqual([
    { id: 'a', content: 'whole' },
    { id: 'b', content: 'Hello' },
  ]);
  database.exec(
    "CREATE TRIGGER t BEFORE INSERT ON messages WHEN NEW.role = 'bad' BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  const error: unknown = await store.save([aMessage({ role: 'bad' })]).catch((e: unknown) => e);
  expect(refusalOf(error)).toMatch(/^sqlite-/);
  await store.save([aMessage({ id: 'c' })]);
  expect(rows()).toHaveLength(3);
  await store.close();
});

it('loses nothing by a client that leaves, a locked database, and SIGKILL', async () => {
  if (sqlite === undefined) {
    return console.log(`Node ${process.versions.node} has no node:sqlite: not run here`);
  }
  const folder = await mkdtemp(join(tmpdir(), 'lastchunk-sqlite-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'messages.db');
  const script = join(ROOT, 'test/examples/app-main.ts');
  const start = () => startScript(script, ['sqlite', file, join(folder, 'journal')]);
  const first = await start();
  const database = new sqlite.DatabaseSync(file);
  onTestFinished(() => database.close());
  const select = database.prepare(
    'SELECT conversation_id AS id, content FROM messages ORDER BY conversation_id',
  ) as Selection;
  const contentOf = (id: string) => select.all().find((row) => row['id'] === id)?.['content'];

  await readUntil(`${first.url}/chat/left`, (text) => text !== '');
  expect(await until('the answer is whole', () => contentOf('left'))).toBe(WHOLE);

  database.exec('BEGIN EXCLUSIVE');
  expect(await readUntil(`${first.url}/chat/away`, () => false)).toBe(WHOLE);
  const seen = await readUntil(
    `${first.url}/chat/long`,
    (text) => text.includes('9 '),
    () => first.kill(),
  );
  expect(select.all()).toHaveLength(1);
  database.exec('COMMIT');
  await start();
  expect(await until('the answer is replayed', () => contentOf('away'))).toBe(WHOLE);
  const kept = String(await until('the answer is recovered', () => contentOf('long')));
  expect(kept.startsWith(seen)).toBe(true);
  expect(select.all().map(({ id }) => id)).toEqual(['away', 'left', 'long']);
});
