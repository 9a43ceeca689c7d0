/** A journal's disk that fails while the database is away: what is called journaled is on it, and all of that comes back. */
import { expect, test } from 'vitest';
import { diskFiles, type Files } from '../../src/journal/fs.ts';
import { until } from '../support/until.ts';
import {
  createGuard,
  expectAccountsAddUp,
  expectAllKept,
  rows,
  useRealWorld,
  world,
} from './real.ts';

useRealWorld();

/** A disk that does what `next` says. */
function faultyDisk(): { files: Partial<Files>; next: Partial<Files> } {
  const disk = {
    next: {} as Partial<Files>,
    files: {
      write: (...args: Parameters<Files['write']>) => (disk.next.write ?? diskFiles.write)(...args),
      sync: (fd: number) => (disk.next.sync ?? diskFiles.sync)(fd),
    },
  };
  return disk;
}

test('after a failed fsync, with short writes, everything is journaled in another segment, and replayed', async () => {
  const disk = faultyDisk();
  const guard = await createGuard({ files: disk.files });
  expect(await guard.answer('before')).toBe('saved');
  await world.database.stop();
  world.proxy.cut();
  expect(await guard.answer('first of the outage')).toBe('journaled');
  let failures = 0;
  disk.next.sync = (fd) => {
    failures += 1;
    return failures === 1 ? Promise.reject(new Error('EIO: injected')) : diskFiles.sync(fd);
  };
  disk.next.write = (fd, bytes, range) =>
    diskFiles.write(fd, bytes, { ...range, length: Math.ceil(range.length / 2) });
  for (let index = 0; index < 10; index += 1) {
    expect(await guard.answer(`after the failure, ${index}`)).toBe('journaled');
  }
  expect(failures).toBeGreaterThan(1);
  disk.next = {};
  await world.database.start();
  await until('all are replayed', () => guard.account.replayed.length === 11);
  await expectAllKept(guard.due);
  expectAccountsAddUp(guard);
});

test('while every fsync fails nothing is journaled, the frame is released at its deadline, and the store gets the message in time', async () => {
  const disk = faultyDisk();
  const guard = await createGuard({ files: disk.files });
  await guard.answer('before');
  await world.database.stop();
  world.proxy.cut();
  disk.next.sync = () => Promise.reject(new Error('EIO: injected'));
  expect(await guard.answer('into the void')).toBe('unconfirmed');
  expect(guard.keeper.state().pending).toBe(1);
  expect(guard.errors().some((line) => line.includes('before its message was safe'))).toBe(true);
  await world.database.start();
  await guard.keeper.flush();
  expect((await rows()).map(({ content }) => content)).toContain('into the void');
  expect(guard.account.saves.map(({ result }) => result)).toEqual(['saved', 'saved']);
  expectAccountsAddUp(guard);
});
