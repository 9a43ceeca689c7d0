/** Messages that are due and still being read: they are pending, they are waited for, and the end comes all the same. */
import { describe, expect, test } from 'vitest';
import { createBench, createFakeJournal, settled, type Bench, type Tracked } from './fakes.ts';

interface Announced {
  readonly confirmed: string | undefined;
  readonly read: () => Tracked;
  readonly fail: () => void;
}

/** A message that is being read until `read` is called, which hands it over. */
function announce(bench: Bench, { holds = true } = {}): Announced {
  let read = (_save: Tracked['progress']): void => undefined;
  let fail = (_error: Error): void => undefined;
  const saved = new Promise<Tracked['progress']>((resolve, reject) => {
    read = resolve;
    fail = reject;
  });
  const stream = {
    id: 's',
    route: '/chat',
    method: 'POST',
    guarded: true,
    format: 'auto',
    startedAtMs: 0,
    chunks: 1,
    bytes: 5,
  };
  let confirmed: string | undefined;
  void bench.keeper
    .announce({ messageId: 'm', stream, holds: () => holds, confirmTimeoutMs: 2_000, saved })
    .then((value) => (confirmed = value));
  return {
    get confirmed() {
      return confirmed;
    },
    read: () => {
      const save = bench.save();
      read(save.progress);
      return save;
    },
    fail: () => fail(new Error('not read')),
  };
}

describe('a message that is still being read', () => {
  test('is pending until it is passed to the saver and has its result', async () => {
    const bench = createBench();
    bench.store.behave = () => undefined;
    const { read } = announce(bench);
    expect(bench.keeper.state()).toMatchObject({ pending: 1, oldestPendingMs: 0 });
    read();
    await settled();
    expect(bench.keeper.state().pending).toBe(1);
    bench.store.calls[0]?.commit();
    await settled();
    expect(bench.keeper.state().pending).toBe(0);
  });

  test('is not pending any more when the read fails', async () => {
    const bench = createBench();
    announce(bench).fail();
    await settled();
    expect(bench.keeper.state().pending).toBe(0);
    await bench.keeper.flush();
  });

  test('is waited for by flush(), with its save', async () => {
    const bench = createBench();
    bench.store.behave = () => undefined;
    const { read } = announce(bench);
    let isFlushed = false;
    const flushed = bench.keeper.flush().then(() => (isFlushed = true));
    await settled();
    expect(isFlushed).toBe(false);
    read();
    await settled();
    expect(isFlushed).toBe(false);
    bench.store.calls[0]?.commit();
    await flushed;
  });
});

describe('a frame that waits for a message that is still being read', () => {
  test('is released at the deadline of the store, with an error in the log', async () => {
    const bench = createBench();
    const announced = announce(bench);
    await bench.clock.advance(1_999);
    expect(announced.confirmed).toBeUndefined();
    expect(bench.errors()).toEqual([]);
    await bench.clock.advance(1);
    expect(announced.confirmed).toBe('unconfirmed');
    expect(bench.errors().join()).toContain('before its message was safe');
    const save = announced.read();
    await settled();
    expect(save.result).toBe('saved');
  });

  test('is released with the result of the save, if the read ends in time', async () => {
    const bench = createBench();
    const announced = announce(bench);
    await bench.clock.advance(1_999);
    announced.read();
    await settled();
    expect(announced.confirmed).toBe('saved');
    await bench.clock.advance(10_000);
    expect(bench.errors()).toEqual([]);
  });

  test('logs no error at the deadline if nothing is held any more', async () => {
    const bench = createBench();
    const announced = announce(bench, { holds: false });
    await bench.clock.advance(2_000);
    expect(announced.confirmed).toBe('unconfirmed');
    expect(bench.errors()).toEqual([]);
  });

  test('is released when the read fails', async () => {
    const bench = createBench();
    const announced = announce(bench);
    announced.fail();
    await settled();
    expect(announced.confirmed).toBe('unconfirmed');
  });
});

describe('close()', () => {
  test('waits for a message that is still being read, and counts it', async () => {
    const bench = createBench();
    const { read } = announce(bench);
    const closed = bench.keeper.close(10_000);
    await settled();
    expect(bench.store.isClosed).toBe(false);
    read();
    expect(await closed).toEqual({ saved: 1, journaled: 0, lost: 0, refused: 0 });
    expect(bench.store.isClosed).toBe(true);
  });

  test('journals a message that was read in its last moment', async () => {
    const bench = createBench({ journal: createFakeJournal() });
    bench.store.behave = () => undefined;
    const { read } = announce(bench);
    const closed = bench.keeper.close(5_000);
    // Past its wait for results, within what is kept back for the last fsync.
    await bench.clock.advance(4_200);
    const save = read();
    await bench.clock.advance(5_000);
    expect(await closed).toEqual({ saved: 0, journaled: 1, lost: 0, refused: 0 });
    expect(save.result).toBe('journaled');
  });

  test('does not wait for a message that is never read', async () => {
    const bench = createBench();
    announce(bench);
    const closed = bench.keeper.close(3_000);
    await bench.clock.advance(3_000);
    expect(await closed).toEqual({ saved: 0, journaled: 0, lost: 0, refused: 0 });
    expect(bench.store.isClosed).toBe(true);
    expect(bench.clock.timers).toBe(0);
  });

  test.each([
    ['journals', true, 'journaled'],
    ['loses, without a journal,', false, 'lost'],
  ])('%s a message that is read after its end', async (_name, hasJournal, result) => {
    const bench = createBench(hasJournal ? { journal: createFakeJournal() } : {});
    const { read } = announce(bench);
    const closed = bench.keeper.close(3_000);
    await bench.clock.advance(3_000);
    await closed;
    const save = read();
    await settled();
    expect(save.result).toBe(result);
    expect(bench.store.calls).toEqual([]);
  });
});
