/** The keeper under the faults that databases and networks have: nothing lost, nothing twice. */
import { expect, test } from 'vitest';
import { postgres } from '../../src/postgres/index.ts';
import { soon, until } from '../support/until.ts';
import {
  createGuard,
  expectAccountsAddUp,
  expectAllKept,
  query,
  rows,
  useRealWorld,
  world,
} from './real.ts';

useRealWorld();

test('a message is in the table before its frame is released', async () => {
  const guard = await createGuard();
  expect(await guard.answer('hello')).toBe('saved');
  await expectAllKept(guard.due);
});

test('a database that is down for the whole life of the streams: no message is lost, none is stored twice', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  await world.database.stop();
  world.proxy.cut();
  const released = [];
  for (let index = 0; index < 20; index += 1) released.push(await guard.answer(`down ${index}`));
  expect(new Set(released)).toEqual(new Set(['journaled']));
  expect(guard.keeper.state()).toMatchObject({ circuit: 'open', pending: 0 });
  await world.database.start();
  await until('all are replayed', () => guard.account.replayed.length === 20);
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
  expect(await guard.answer('after')).toBe('saved');
  expect(await guard.keeper.replay()).toEqual({ saved: 0, refused: 0, left: 0 });
});

test('without a journal messages wait in memory until the database is back', async () => {
  const guard = await createGuard({ journal: false });
  await guard.answer('before');
  await world.database.stop();
  const frames = Array.from({ length: 5 }, (_, index) => guard.answer(`down ${index}`));
  await until('the store is known to be away', () => guard.keeper.state().circuit === 'open');
  await world.database.start();
  await Promise.all(frames);
  await soon('the results', guard.keeper.flush());
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
});

test('a commit whose answer is lost results in one row', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  world.proxy.loseAnswers();
  const frame = guard.answer('committed, but nobody knows');
  await until('the row is there', async () => (await rows()).length === 2);
  world.proxy.resume();
  world.proxy.cut();
  expect(['saved', 'journaled']).toContain(await frame);
  await until('replay has met its own row', () => guard.account.replayed.length === 1);
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
});

test('a retry of a partial message never replaces the complete one that was saved meanwhile', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  world.proxy.loseAnswers();
  const frame = guard.answer('half', { complete: false, outcome: 'disconnected' });
  await until('the row is there', async () => (await rows()).length === 2);
  const id = guard.due[1]?.id;
  await query(
    `UPDATE lastchunk_messages SET content = 'half and whole', complete = true WHERE id = '${id}'`,
  );
  world.proxy.resume();
  world.proxy.cut();
  await frame;
  await until('replay has met its own row', () => guard.account.replayed.length === 1);
  expect(await rows()).toContainEqual({ id, content: 'half and whole' });
});

test('a connection that stops without an error delays a frame at most until its deadline', async () => {
  const guard = await createGuard({ connectTimeoutMs: 500, statementTimeoutMs: 500 });
  await guard.answer('before');
  world.proxy.pause();
  expect(await guard.answer('into the void')).toBe('journaled');
  world.proxy.resume();
  world.proxy.cut();
  await until('it is replayed', () => guard.account.replayed.length === 1);
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
});

test('connections that are killed continuously lose nothing and store nothing twice', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  let isKilling = true;
  const killing = (async () => {
    while (isKilling) {
      await query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lastchunk' AND datname = current_database()`,
      );
    }
  })();
  const failures = (): number => guard.account.attempts.filter(Boolean).length;
  for (let round = 0; round < 40 || failures() < 5; round += 1) {
    await Promise.all(Array.from({ length: 5 }, (_, index) => guard.answer(`${round} ${index}`)));
  }
  isKilling = false;
  await killing;
  await soon('the results', guard.keeper.flush());
  await until('nothing waits on disk', async () => (await guard.keeper.replay()).left === 0);
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
  expect(guard.account.internalErrors.filter((where) => where === 'journal')).toEqual([]);
});

test('messages wait for a missing table and are saved when it is created', async () => {
  const guard = await createGuard({ migrate: false });
  expect(await guard.answer('too early')).toBe('journaled');
  expect(guard.errors().join('\n')).toContain('42P01');
  const { connectionString } = world;
  const migrating = postgres({ connectionString, migrate: true });
  await migrating.migrate();
  await migrating.close();
  await until('it is replayed', () => guard.account.replayed.length === 1);
  await expectAllKept(guard.due);
});

test('a message that the table refuses is set aside, and blocks no other', async () => {
  const guard = await createGuard();
  await guard.answer('before');
  await query(`ALTER TABLE lastchunk_messages ADD CHECK (content NOT LIKE '%forbidden%')`);
  const frames = Array.from({ length: 12 }, (_, index) =>
    guard.answer(index === 5 ? 'forbidden' : `fine ${index}`),
  );
  await Promise.all(frames);
  await soon('the results', guard.keeper.flush());
  const [refused, fine] = [6, 11];
  expect(guard.account.replayed).toEqual([`refused ${guard.due[refused]?.id}`]);
  expect(await rows()).toHaveLength(1 + fine);
  const log = guard.errors().join('\n');
  expect(log).toContain('23514');
  expect(log).not.toContain('forbidden');
});

test('another process saves what a closed process left in its journal', async () => {
  const first = await createGuard();
  await first.answer('before');
  await world.database.stop();
  world.proxy.cut();
  for (let index = 0; index < 5; index += 1) await first.answer(`left ${index}`);
  expect(await first.keeper.close(1_000)).toEqual({ saved: 0, journaled: 0, lost: 0, refused: 0 });
  await world.database.start();
  const second = await createGuard();
  await until('all are recovered', () => second.account.recovered.length === 5);
  expect(second.account.saves).toEqual([]);
  await expectAllKept(first.due);
});
