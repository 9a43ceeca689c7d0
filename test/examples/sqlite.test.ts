/** The example of a store over SQLite. Node has it from 22.5 on. */
import { expect, it } from 'vitest';
import { createStore, type SqliteLike } from '../../examples/sqlite/store.ts';
import { refusalOf } from '../../src/core/refusal.ts';
import { aMessage } from '../postgres/messages.ts';

interface Sqlite {
  readonly DatabaseSync: new (path: string) => SqliteLike;
}

interface Selection {
  run(): unknown;
  all(): readonly Record<string, unknown>[];
}

// The types of Node 20 do not know it.
const sqlite = process.getBuiltinModule('node:sqlite') as unknown as Sqlite | undefined;

it('keeps the best version of a message, and refuses what SQLite can never take', async () => {
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
