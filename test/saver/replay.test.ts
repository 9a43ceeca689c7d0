import { expect, test } from 'vitest';
import type { JournalEntry } from '../../src/journal/port.ts';
import {
  createBench,
  createFakeJournal,
  messageOf,
  openedStream,
  readText,
  settled,
  sqlError,
  type FakeJournal,
} from './fakes.ts';

const AWAY = sqlError('57P01');

/** What a dead process left: its body, and an ending if it lived to write one. */
function deadEntry(body: string, over: Partial<JournalEntry> = {}) {
  const opened = openedStream({ traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` });
  const calls: string[] = [];
  const entry: JournalEntry = {
    opened,
    ending: undefined,
    body: () => Promise.resolve([body]),
    settle: () => Promise.resolve(void calls.push('settled')),
    refuse: () => Promise.resolve(void calls.push('refused')),
    ...over,
  };
  return { entry, opened, calls };
}

/** A bench whose store was away while these were saved. */
async function afterOutage(count: number, journal: FakeJournal = createFakeJournal()) {
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(AWAY);
  const saves = [];
  for (let index = 0; index < count; index += 1) {
    saves.push(bench.save({ text: `answer ${index}` }));
    await settled();
  }
  return { bench, journal, saves };
}

test('journaled messages are saved when the store is back, oldest first, each once', async () => {
  const { bench, journal, saves } = await afterOutage(5);
  bench.keeper.start();
  await bench.clock.advance(2_000);
  expect(bench.store.rows.size).toBe(0);
  bench.store.behave = (call) => call.commit();
  await bench.clock.advance(10_000);
  expect(bench.store.rows.size).toBe(5);
  expect(bench.account.replayed.toSorted()).toEqual(
    saves.map(({ message }) => `saved ${message.id}`).toSorted(),
  );
  expect(bench.account.saves.map(({ result }) => result)).toEqual(Array(5).fill('journaled'));
  expect(journal.records.size).toBe(0);
  expect(bench.clock.timers).toBe(1); // the next look for dead processes
});

test('replay() sends everything now and returns the counts', async () => {
  const { bench } = await afterOutage(3);
  bench.store.behave = (call) => call.commit();
  expect(await bench.keeper.replay()).toEqual({ saved: 3, refused: 0, left: 0 });
});

test('replay() stops while the store is unreachable and returns what is left', async () => {
  const { bench } = await afterOutage(3);
  expect(await bench.keeper.replay()).toEqual({ saved: 0, refused: 0, left: 3 });
});

test('a message that the store refuses on replay is set aside and the others are saved', async () => {
  const { bench, journal, saves } = await afterOutage(4);
  bench.store.behave = (call) =>
    call.messages.some(({ text }) => text === 'answer 2')
      ? call.reject(sqlError('22P02'))
      : call.commit();
  expect(await bench.keeper.replay()).toEqual({ saved: 3, refused: 1, left: 0 });
  expect(journal.refused).toEqual([saves[2]?.message.id]);
  expect(bench.account.replayed).toContain(`refused ${saves[2]?.message.id}`);
});

test('a message for which the store always fails does not hold back the others', async () => {
  const { bench, saves } = await afterOutage(20);
  bench.store.behave = (call) =>
    call.messages.some(({ text }) => text === 'answer 0')
      ? call.reject(sqlError('57014'))
      : call.commit();
  bench.keeper.start();
  await bench.clock.advance(30_000);
  expect(bench.store.rows.size).toBe(19);
  const live = [];
  for (let second = 0; second < 60; second += 1) {
    live.push(bench.save());
    await bench.clock.advance(1_000);
  }
  expect(live.filter(({ result }) => result === 'saved').length).toBeGreaterThan(45);
  expect(bench.store.rows.size).toBe(79);
  bench.store.behave = (call) => call.commit();
  await bench.clock.advance(300_000);
  expect(bench.store.rows.has(saves[0]?.message.id ?? '')).toBe(true);
});

test('a body that cannot be read stays on disk, is reported, and blocks no other message', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  const bad = deadEntry('', { body: () => Promise.reject(new Error('EIO')) });
  const good = deadEntry('hello');
  journal.dead.push(bad.entry, good.entry);
  bench.keeper.start();
  await settled();
  expect(bench.account.recovered).toEqual([`saved ${good.opened.messageId}`]);
  expect(bench.account.internalErrors).toEqual(['journal']);
  expect(bad.calls).toEqual([]);
});

test('an unfinished stream of a dead process becomes an interrupted partial message', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  const { entry, opened, calls } = deadEntry('half an ans');
  journal.dead.push(entry);
  bench.keeper.start();
  await settled();
  expect(bench.store.rows.get(opened.messageId)).toMatchObject({
    text: 'half an ans',
    outcome: 'interrupted',
    side: 'server',
    complete: false,
    streamId: opened.id,
    traceId: 'a'.repeat(32),
  });
  expect(calls).toEqual(['settled']);
  expect(bench.account.recovered).toEqual([`saved ${opened.messageId}`]);
  expect(bench.account.saves).toEqual([]);
});

test('an ended stream of a dead process keeps the fields of its end record', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  const { entry, opened } = deadEntry('whole');
  const { text: _text, events: _events, ...ending } = messageOf(opened, { revision: 2 });
  journal.dead.push({ ...entry, ending });
  bench.keeper.start();
  await settled();
  expect(bench.store.rows.get(opened.messageId)).toMatchObject({
    text: 'whole',
    outcome: 'completed',
    complete: true,
    revision: 2,
  });
});

test('a recovered stream with an empty body is settled without a row', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  const { entry, calls } = deadEntry('');
  journal.dead.push(entry);
  bench.keeper.start();
  await settled();
  expect(calls).toEqual(['settled']);
  expect(bench.store.rows.size).toBe(0);
  expect(bench.account.recovered).toEqual([]);
});

test('a recovered message that the store refuses is set aside', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(sqlError('22P05'));
  const { entry, calls, opened } = deadEntry('bad');
  journal.dead.push(entry);
  bench.keeper.start();
  await settled();
  expect(calls).toEqual(['refused']);
  expect(bench.account.recovered).toEqual([`refused ${opened.messageId}`]);
});

test('recovery waits for an unavailable store, and continues when it is back', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.store.behave = (call) => call.reject(AWAY);
  const entries = Array.from({ length: 3 }, (_, index) => deadEntry(`dead ${index}`));
  journal.dead.push(...entries.map(({ entry }) => entry));
  bench.keeper.start();
  await bench.clock.advance(8_000);
  bench.store.behave = (call) => call.commit();
  await bench.clock.advance(8_000);
  expect(bench.account.recovered).toHaveLength(3);
  expect(entries.flatMap(({ calls }) => calls)).toEqual(['settled', 'settled', 'settled']);
});

test('every entry of a stream that is in two directories is settled', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  const first = deadEntry('half');
  const second = deadEntry('half and whole', { opened: first.opened });
  journal.dead.push(first.entry, second.entry);
  bench.keeper.start();
  await settled();
  expect([first.calls, second.calls]).toEqual([['settled'], ['settled']]);
  expect(bench.store.rows.get(first.opened.messageId)?.text).toBe('half and whole');
});

test('the streams of a process that dies later are recovered within the interval', async () => {
  const journal = createFakeJournal();
  const bench = createBench({ journal });
  bench.keeper.start();
  await settled();
  const { entry, opened } = deadEntry('late');
  journal.dead.push(entry);
  await bench.clock.advance(30_000);
  expect(bench.account.recovered).toEqual([`saved ${opened.messageId}`]);
});

test('an answer that cannot be read is reported as a format error and stays on disk', async () => {
  const journal = createFakeJournal();
  const { entry, calls } = deadEntry('odd');
  journal.dead.push(entry);
  const bench = createBench({
    journal,
    read(stream, body) {
      if (body[0] === 'odd') throw new Error('cannot');
      return readText(stream, body);
    },
  });
  bench.keeper.start();
  await settled();
  expect(bench.account.internalErrors).toEqual(['format']);
  expect(calls).toEqual([]);
});

test('a replayed batch runs in the given context, with links to its streams', async () => {
  const journal = createFakeJournal();
  const { entry, opened } = deadEntry('linked');
  journal.dead.push(entry);
  const links: (string | null)[] = [];
  const bench = createBench({
    journal,
    aroundReplay(messages, work) {
      links.push(...messages.map(({ traceparent }) => traceparent));
      return work();
    },
  });
  bench.keeper.start();
  await settled();
  expect(links).toEqual([opened.traceparent]);
});
