/** The table changes under a store that has planned its statements. Whatever that costs, no message is lost. */
import { expect, test } from 'vitest';
import { postgres } from '../../src/postgres/index.ts';
import { until } from '../support/until.ts';
import {
  createGuard,
  expectAccountsAddUp,
  expectAllKept,
  query,
  useRealWorld,
  world,
  type Guard,
} from '../saver/real.ts';

useRealWorld();

/** Saves alone and together, often enough that statements are prepared and their plans are kept. */
async function settle(guard: Guard): Promise<void> {
  for (let turn = 0; turn < 8; turn += 1) await guard.answer(`alone ${turn}`);
  await many(guard, 'before');
}

async function many(guard: Guard, text: string): Promise<void> {
  await Promise.all(Array.from({ length: 40 }, (_, index) => guard.answer(`${text} ${index}`)));
}

async function allAreKept(guard: Guard): Promise<void> {
  await until(
    'everything is replayed',
    () =>
      guard.account.replayed.length ===
      [...guard.account.firsts().values()].filter(([first]) => first === 'journaled').length,
  );
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
}

for (const [name, sql] of [
  ['a column is added', 'ADD COLUMN note text DEFAULT $$none$$'],
  ['a key has another type', 'ALTER COLUMN stream_id TYPE varchar(600)'],
  ['a number gets wider', 'ALTER COLUMN bytes TYPE numeric'],
] as const) {
  test(`${name}: the next saves succeed at once`, async () => {
    const guard = await createGuard();
    await settle(guard);
    await query(`ALTER TABLE lastchunk_messages ${sql}`);
    expect(await guard.answer('after')).toBe('saved');
    await many(guard, 'after');
    await allAreKept(guard);
    expect(guard.errors()).toEqual([]);
  });
}

test('a table that is dropped and recreated gets everything that was due in between', async () => {
  const guard = await createGuard();
  await settle(guard);
  await query('CREATE TABLE before AS SELECT * FROM lastchunk_messages');
  await query('DROP TABLE lastchunk_messages, lastchunk_migrations');
  await many(guard, 'without a table');
  const store = postgres({ connectionString: world.connectionString });
  await store.migrate();
  await store.close();
  await query('INSERT INTO lastchunk_messages SELECT * FROM before');
  await many(guard, 'after');
  expect(guard.account.firsts().get(guard.due.at(-50)?.id ?? '')).toEqual(['journaled']);
  await allAreKept(guard);
});

test('a table that is replaced in one transaction is written to at once', async () => {
  const guard = await createGuard();
  await settle(guard);
  await query(`BEGIN;
    ALTER TABLE lastchunk_messages RENAME TO old;
    CREATE TABLE lastchunk_messages (LIKE old INCLUDING ALL);
    INSERT INTO lastchunk_messages SELECT * FROM old;
    DROP TABLE old;
    COMMIT`);
  expect(await guard.answer('after')).toBe('saved');
  await many(guard, 'after');
  await allAreKept(guard);
  expect(guard.errors()).toEqual([]);
});
