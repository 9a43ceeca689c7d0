import {
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, it, onTestFinished } from 'vitest';
import { lastchunk } from '../../../src/index.ts';
import { writeRefused } from '../../../src/journal/aside/dead-letters.ts';
import { openJournal, resolveJournalOptions } from '../../../src/journal/index.ts';
import type { Journal } from '../../../src/journal/port.ts';
import { postgres } from '../../../src/postgres/index.ts';
import { messageOf, openedStream } from '../../saver/fakes.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { runCommand } from '../run-command.ts';

let database: TestPostgres;
let url: string;
let dir: string;

beforeAll(async () => {
  database = await startPostgres();
}, 60_000);
afterAll(() => database.remove());
beforeEach(async () => {
  url = '';
  dir = await mkdtemp(join(tmpdir(), 'lastchunk-cli-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
});

/** For the tests that replay: an empty table. */
async function migrated(): Promise<void> {
  await database.start();
  url = await database.newDatabase();
  const store = postgres({ connectionString: url, migrate: true });
  await store.migrate();
  await store.close();
}

const run = (...argv: string[]) =>
  runCommand(['journal', ...argv, '--dir', dir], { DATABASE_URL: url });

function open(store?: string): Journal {
  const settings = resolveJournalOptions(dir);
  if (settings === undefined) throw new Error('there is a journal');
  const nothing = (): void => undefined;
  return openJournal({
    settings,
    store,
    onError: nothing,
    onWrite: nothing,
    onCorrupt: nothing,
    onDegraded: nothing,
    log: nothing,
  });
}

/** Streams this text into the journal and ends it; the store never gets it. */
async function leave(journal: Journal, id: string, text: string) {
  const opened = openedStream({ messageId: id });
  const log = journal.open(opened, { pieces: [text] });
  log.append(text, 'tick');
  log.flush();
  const { text: _text, events: _events, ...ending } = messageOf(opened);
  journal.end(log, ending);
  expect(await journal.sync(log)).toBe(true);
  return { opened, log };
}

/** A process that is gone and left these behind. */
async function leftBehind(texts: Readonly<Record<string, string>>, store?: string): Promise<void> {
  const journal = open(store);
  for (const [id, text] of Object.entries(texts)) {
    journal.keep((await leave(journal, id, text)).log);
  }
  await journal.close();
}

async function contents(): Promise<Record<string, string>> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows } = await client.query<{ id: string; content: string }>(
    'SELECT id, content FROM lastchunk_messages ORDER BY id',
  );
  await client.end();
  return Object.fromEntries(rows.map(({ id, content }) => [id, content]));
}

async function forbid(): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`ALTER TABLE lastchunk_messages ADD CONSTRAINT no CHECK (content <> 'bad')`);
  await client.end();
}

async function allow(): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('ALTER TABLE lastchunk_messages DROP CONSTRAINT no');
  await client.end();
}

it('lists the messages of a dead process with ids, sizes and times, never text', async () => {
  await leftBehind({ 'answer-1': 'secret words', 'answer-2': 'more of them' });
  const { exitCode, stdout } = await run('list');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^MESSAGE +STATE +BYTES +SINCE +STORE$/m);
  expect(stdout).toMatch(/^answer-1 +ended left +12 +20\d\d-/m);
  expect(stdout).not.toContain('secret');
});

it('lists the messages of a live process as its own, and refuses to drop them', async () => {
  const journal = open();
  await leave(journal, 'answer-1', 'words');
  expect((await run('list')).stdout).toMatch(/^answer-1 +ended live/m);
  const dropped = await run('drop', 'answer-1');
  expect([dropped.exitCode, dropped.stderr]).toEqual([1, expect.stringContaining('running')]);
  await journal.close();
});

it('prints that nothing waits', async () => {
  await open().close();
  expect(await run('list')).toMatchObject({ exitCode: 0, stdout: 'nothing waits\n' });
});

it('replays the messages of dead processes, once', async () => {
  await migrated();
  await leftBehind({ a: 'one', b: 'two', c: 'three' });
  expect(await run('replay')).toMatchObject({
    exitCode: 0,
    stdout: '3 saved, 0 refused, 0 left\n',
  });
  expect(await contents()).toEqual({ a: 'one', b: 'two', c: 'three' });
  expect(await run('replay')).toMatchObject({
    exitCode: 0,
    stdout: '0 saved, 0 refused, 0 left\n',
  });
});

it('does not replay the messages of a live process, and reports them', async () => {
  await migrated();
  const journal = open();
  await leave(journal, 'answer-1', 'words');
  const replayed = await run('replay');
  expect(replayed).toMatchObject({ exitCode: 0, stdout: '0 saved, 0 refused, 0 left\n' });
  expect(replayed.stderr).toContain('1 are of a running process, which saves them by itself');
  await journal.close();
});

it('keeps everything when the database is unavailable, and prints the reason', async () => {
  await migrated();
  await leftBehind({ a: 'one', b: 'two' });
  await database.stop();
  const away = await run('replay');
  expect(away.exitCode).toBe(1);
  expect(away.stdout).toBe('0 saved, 0 refused, 2 left\n');
  expect(away.stderr).toContain('ECONNREFUSED');
  await database.start();
  expect((await run('replay')).stdout).toBe('2 saved, 0 refused, 0 left\n');
});

it('sets aside what the database refuses, and sends it again on request', async () => {
  await migrated();
  await leftBehind({ a: 'one', b: 'bad', c: 'three' });
  await forbid();
  const replayed = await run('replay');
  expect([replayed.exitCode, replayed.stdout]).toEqual([1, '2 saved, 1 refused, 0 left\n']);
  expect(replayed.stderr).toContain('23514');
  expect((await run('list')).stdout).toMatch(/^b +refused 23514/m);

  expect((await run('replay', '--refused')).stdout).toBe('0 saved, 1 refused, 0 left\n');
  await allow();
  expect((await run('replay', '--refused')).stdout).toBe('1 saved, 0 refused, 0 left\n');
  expect(await contents()).toEqual({ a: 'one', b: 'bad', c: 'three' });
  expect((await run('list')).stdout).toBe('nothing waits\n');
});

it('saves messages refused by another or an unknown store only with --force', async () => {
  await migrated();
  const message = (id: string) => messageOf(openedStream({ messageId: id }), { text: `of ${id}` });
  await writeRefused(dir, message('app'), '23514', 'own-store');
  await writeRefused(dir, message('old'), '23514');
  const { exitCode, stdout, stderr } = await run('replay', '--refused');
  expect([exitCode, stdout]).toEqual([1, '0 saved, 0 refused, 2 left\n']);
  expect(stderr).toContain(
    '2 were refused by another store, or nothing says by which: their app sends them again with keep.replay({ refused: true })',
  );
  expect(await contents()).toEqual({});
  expect((await run('list')).stdout).toMatch(/^app +refused 23514 .* own-store$/m);
  expect(await run('replay', '--refused', '--force')).toMatchObject({
    exitCode: 0,
    stdout: '2 saved, 0 refused, 0 left\n',
  });
  expect(await contents()).toEqual({ app: 'of app', old: 'of old' });
});

it('does not save what a custom store without a name has left', async () => {
  await migrated();
  const away = {
    save: () => Promise.reject(new Error('away')),
    close: () => Promise.resolve(),
  };
  const keep = lastchunk({ store: away, journal: dir, logger: false });
  const res = new ServerResponse(new IncomingMessage(new Socket()));
  const handled = keep.guard({ message: () => ({ id: 'own' }), confirmTimeoutMs: 100 }, () => {
    res.setHeader('content-type', 'text/event-stream');
    res.end('data: words\n\n');
  });
  await handled(res.req, res);
  await keep.close({ deadlineMs: 5_000 });
  expect((await run('list')).stdout).toMatch(/^own +ended left other-store .* own-store$/m);
  expect((await run('replay')).stdout).toBe('0 saved, 0 refused, 1 left\n');
  expect(await contents()).toEqual({});
});

it('drops one message by its id', async () => {
  await migrated();
  await leftBehind({ a: 'one', b: 'two' });
  expect(await run('drop', 'a')).toMatchObject({ exitCode: 0, stdout: 'a is dropped\n' });
  expect(await run('drop', 'a')).toMatchObject({ exitCode: 1 });
  expect(await run('drop', 'b', '--refused')).toMatchObject({ exitCode: 1 });
  expect((await run('replay')).stdout).toBe('1 saved, 0 refused, 0 left\n');
  expect(await contents()).toEqual({ b: 'two' });
});

it('prints an id that a client chose so that it cannot move the cursor', async () => {
  await leftBehind({ 'x\u001b[2Jy\u202e': 'words' });
  const { stdout } = await run('list');
  expect(stdout).toContain('\\u001b[2Jy?');
  expect(stdout).not.toContain('\u001b');
});

it.each([
  [[], /say what to do: one of list, replay, drop, purge/],
  [['eat'], /not `eat`/],
  [['drop'], /one id/],
  [['list', 'x'], /takes no ids/],
  [['list', '--nonsense'], /nonsense/],
  [['purge'], /one of `--conversation ID` and `--older-than TIME`/],
  [['purge', '--conversation', 'a', '--older-than', '1d'], /one of/],
  [['purge', '--older-than', 'soon'], /30m, 12h or 90d/],
  [['purge', '--older-than', '1d', '--no-journal'], /give `--conversation ID`/],
  [['purge', '--older-than', '1d', '--schema', 'x'], /`--schema` goes with `--conversation ID`/],
  [['purge', '--conversation', 'a', '--relay', '--no-relay'], /not both/],
  [['purge', '--conversation', 'a', '--relay'], /no database/],
  [['purge', '--conversation', 'a', '--redis-prefix', 'x'], /goes with `--redis-url`/],
  [['purge', '--conversation', 'a', '--redis-url', 'http://u:secret@x'], /redis:\/\/ or rediss/],
  [['purge', '--conversation', 'a', '--redis-url', 'redis://x', '--redis-prefix', '{'], /`prefix`/],
])('answers %j with what it expects', async (argv, message) => {
  const { exitCode, stderr } = await run(...argv);
  expect(exitCode).toBe(2);
  expect(stderr).toMatch(message);
});

it('reports that a directory does not exist, and does not create it', async () => {
  await rm(dir, { recursive: true });
  url = database.connectionString;
  for (const action of [['list'], ['replay'], ['purge', '--older-than', '1d']]) {
    const { exitCode, stderr } = await run(...action);
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('ENOENT')]);
  }
});

it('prints its help', async () => {
  expect(await run('--help')).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^usage: lastchunk journal/),
  });
});

it('reports a segment that it cannot read, and does not report the journal as empty', async () => {
  const journal = open();
  const log = journal.open(openedStream({ id: 'a', messageId: 'm' }), { pieces: ['text'] });
  log.append('text', 'tick');
  log.flush();
  await journal.sync(log);
  await journal.close();
  const [instance = ''] = readdirSync(dir).filter((name) => !name.startsWith('.'));
  const names = readdirSync(join(dir, instance)).filter((name) => name.endsWith('.segment'));
  const segment = join(dir, instance, names[0] ?? '');
  rmSync(segment);
  symlinkSync('/etc/hostname', segment);
  const { exitCode, stderr } = await run('list');
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: `lastchunk journal: ${segment} is not read (ENOTOURS), so what it holds is not seen\n`,
  });
});

it('reports a directory that others may write, and does not report the journal as empty', async () => {
  const journal = open();
  const log = journal.open(openedStream({ id: 'a', messageId: 'm' }), { pieces: ['text'] });
  log.append('text', 'tick');
  log.flush();
  await journal.close();
  const [instance = ''] = readdirSync(dir).filter((name) => !name.startsWith('.'));
  chmodSync(join(dir, instance), 0o777);
  const { exitCode, stderr } = await run('list');
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`${join(dir, instance)} is not read (ENOTOURS)`);
});

it('reports a directory of refused messages that others may write, and lists the rest', async () => {
  await leftBehind({ a: 'words' });
  mkdirSync(join(dir, 'refused'), { mode: 0o700 });
  chmodSync(join(dir, 'refused'), 0o777);
  const { exitCode, stdout, stderr } = await run('list');
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/^a +ended left/m);
  expect(stderr).toContain(`${join(dir, 'refused')} is not read (ENOTOURS)`);
});

it('lists refused messages whose files have fields of unknown types', async () => {
  mkdirSync(join(dir, 'refused'), { mode: 0o700 });
  const message = { id: 'a', streamId: 's', conversationId: null };
  const write = (name: string, content: object): void =>
    writeFileSync(join(dir, 'refused', name), JSON.stringify(content));
  write('1.json', { sqlstate: '\u001b[2J\nb', refusedAtMs: 1e300, message });
  write('2.json', { sqlstate: 23514, refusedAtMs: 1, message });
  const { exitCode, stdout, stderr } = await run('list', '--refused');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toMatch(/^MESSAGE.*\na +refused "\\u001b\[2J\\nb" +\d+ +- +-\n$/);
});

it('does not replay what is for another database, and reports it; --force replays it', async () => {
  await migrated();
  const production = url;
  await migrated();
  const test = postgres({ connectionString: url });
  await leftBehind({ a: 'one' }, test.fingerprint);
  await test.close();
  url = production;
  expect((await run('list')).stdout).toMatch(
    new RegExp(`^a +ended left other-store .* ${test.fingerprint}$`, 'm'),
  );
  const refused = await run('replay');
  expect([refused.exitCode, refused.stdout]).toEqual([1, '0 saved, 0 refused, 1 left\n']);
  expect(refused.stderr).toContain('holds messages for another store');
  expect(await contents()).toEqual({});
  expect(await run('replay', '--force')).toMatchObject({
    exitCode: 0,
    stdout: '1 saved, 0 refused, 0 left\n',
  });
  expect(await contents()).toEqual({ a: 'one' });
});

it('replays what an app with a store of its own has left, if --name is that of the store', async () => {
  await migrated();
  await leftBehind({ a: 'one' }, 'chat');
  expect((await run('replay')).stdout).toBe('0 saved, 0 refused, 1 left\n');
  expect((await run('replay', '--name', 'chat')).stdout).toBe('1 saved, 0 refused, 0 left\n');
  expect(await contents()).toEqual({ a: 'one' });
});

it('is not needed by two apps with different databases: neither saves what the other left', async () => {
  await migrated();
  const urls = { production: url, test: '' };
  await migrated();
  urls.test = url;
  for (const [name, connectionString] of Object.entries(urls)) {
    const { fingerprint, close } = postgres({ connectionString });
    await close();
    await leftBehind({ [name]: `words of ${name}` }, fingerprint);
  }
  for (const [name, connectionString] of Object.entries(urls)) {
    const keep = lastchunk({ store: postgres({ connectionString }), journal: dir });
    url = connectionString;
    await expect.poll(contents).toEqual({ [name]: `words of ${name}` });
    await keep.close();
  }
});

it('prints the warnings of the journal while it replays', async () => {
  await migrated();
  mkdirSync(join(dir, 'aaaaaaaaaaaaaaaa'));
  chmodSync(join(dir, 'aaaaaaaaaaaaaaaa'), 0o777);
  expect((await run('replay')).stderr).toContain('something in the journal is not ours');
});

it('lists damaged segments, which are not read any more', async () => {
  await leftBehind({ a: 'one' });
  mkdirSync(join(dir, 'damaged'), { mode: 0o700 });
  writeFileSync(join(dir, 'damaged', 'x-00000001-00000000.segment'), 'bytes');
  const { stdout } = await run('list');
  expect(stdout).toMatch(/^x-00000001-00000000\.segment +damaged segment +5 +20\d\d-/m);
  expect((await run('list', '--refused')).stdout).toBe('nothing waits\n');
});

it('purges a conversation of dead and of live processes', async () => {
  await leftBehind({ dead: 'secret words of the dead' });
  const journal = open();
  journal.keep((await leave(journal, 'live', 'secret words of the living')).log);
  const { conversationId } = openedStream();
  expect(await run('purge', '--conversation', String(conversationId))).toMatchObject({
    exitCode: 0,
    stdout: 'no relay was looked for: none is named\n2 purged\n',
  });
  const left = readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .filter(({ parentPath, name }) => readFileSync(join(parentPath, name)).includes('secret'));
  expect(left).toEqual([]);
  expect((await run('list')).stdout).toBe('nothing waits\n');
  await journal.close();
});

it('reports which messages a purge has not deleted', async () => {
  const journal = open();
  const log = journal.open(openedStream({ messageId: 'running' }), { pieces: ['words'] });
  log.append('words', 'tick');
  log.flush();
  const { conversationId } = openedStream();
  const { exitCode, stdout, stderr } = await run('purge', '--conversation', String(conversationId));
  expect([exitCode, stdout]).toEqual([1, expect.stringMatching(/^0 purged$/m)]);
  expect(stderr).toContain('1 are on their way');
  await journal.close();
});
