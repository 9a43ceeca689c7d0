/** The first line of a whole instance on a real database, and on none. */
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Registry } from 'prom-client';
import { lastchunk } from '../../src/index.ts';
import { postgres, type PostgresOptions } from '../../src/postgres/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { useDatabase } from '../support/database.ts';
import { freePort } from '../support/free-port.ts';
import { createLogbook } from '../support/logbook.ts';
import { createMemoryRelay } from '../support/memory-relay.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { parseScrape } from '../support/scrape.ts';
import { until } from '../support/until.ts';

const database = useDatabase();

/** Starts an instance and returns every line that it has said once it has said the first, and a turn more. */
async function linesOf(options: PostgresOptions): Promise<readonly string[]> {
  const journal = await mkdtemp(join(tmpdir(), 'lastchunk-start-'));
  const logbook = createLogbook();
  const keep = lastchunk({ store: postgres(options), journal, logger: logbook.logger });
  onTestFinished(async () => {
    await keep.close({ deadlineMs: 1000 });
    await rm(journal, { recursive: true, force: true });
  });
  await until('the line is said', () => logbook.lines.some(({ text }) => text.includes('; store')));
  await new Promise((resolve) => setImmediate(resolve));
  return logbook.lines
    .filter(({ text }) => !text.includes('lastchunk: the journal is in'))
    .map(({ level, text }) => `${level} ${text.replaceAll(journal, '/journal')}`);
}

const at = (): string => database.url.replace(/\/\/[^@]*@/, '//');

it('shows the address of a reachable store, without user and password', async () => {
  expect(await linesOf({ connectionString: database.url, migrate: true })).toEqual([
    `info {"event":"start"} lastchunk: journal in /journal, on disk; store ${at()} reachable`,
  ]);
});

it('names the command that creates the missing table', async () => {
  expect(await linesOf({ connectionString: database.url })).toEqual([
    `warn {"event":"start"} lastchunk: journal in /journal, on disk; store ${at()} cannot be used: the table lastchunk_messages has not been made: run \`npx lastchunk migrate\`, or set \`migrate: true\`; until then messages wait in the journal`,
  ]);
});

it('only pings the store if the app writes its own table', async () => {
  const write = (): Promise<void> => Promise.resolve();
  expect(await linesOf({ connectionString: database.url, write })).toEqual([
    `info {"event":"start"} lastchunk: journal in /journal, on disk; store ${at()} reachable`,
  ]);
});

it.each([true, false])(
  'is the only line for a database that is not there (migrate: %s)',
  async (migrate) => {
    const port = await freePort();
    const connectionString = `postgres://chat:hunter2@127.0.0.1:${port}/chat`;
    expect(await linesOf({ connectionString, migrate })).toEqual([
      `warn {"event":"start"} lastchunk: journal in /journal, on disk; store postgres://127.0.0.1:${port}/chat not reachable: connect ECONNREFUSED 127.0.0.1:${port} (is PostgreSQL running there, and is that the port?); until then messages wait in the journal`,
    ]);
  },
);

it('names the database that does not exist', async () => {
  const connectionString = database.url.replace(/[^/]+$/, 'nowhere');
  expect(await linesOf({ connectionString })).toEqual([
    `warn {"event":"start"} lastchunk: journal in /journal, on disk; store ${connectionString.replace(/\/\/[^@]*@/, '//')} not reachable: database "nowhere" does not exist (make the database, or look at its name); until then messages wait in the journal`,
  ]);
});

it('reports that the server has no TLS', async () => {
  const [line] = await linesOf({ connectionString: `${database.url}?sslmode=require` });
  expect(line).toContain(
    'not reachable: The server does not support SSL connections (leave out `ssl` and `sslmode`, or turn TLS on at the server)',
  );
});

it('reports a relay if there is no journal', async () => {
  const logbook = createLogbook();
  const relay = createMemoryRelay().connect();
  const store = createMemoryStore();
  const keep = lastchunk({ store, relay, journal: false, logger: logbook.logger });
  onTestFinished(async () => void (await keep.close({ deadlineMs: 1000 })));
  const said = await until('the line is said', () => logbook.lines[0]);
  expect(said).toEqual({
    level: 'info',
    text: '{"event":"start"} lastchunk: no journal, but a relay; store of the app\'s own',
  });
});

it('is followed by a line once an unreachable database is reachable', async () => {
  const port = await freePort();
  const at = new URL(database.url);
  const connectionString = Object.assign(new URL(database.url), { port: String(port) }).href;
  const logbook = createLogbook();
  const store = postgres({ connectionString, migrate: true });
  const keep = lastchunk({ store, journal: false, logger: logbook.logger });
  onTestFinished(async () => void (await keep.close({ deadlineMs: 1000 })));
  await until('the line is said', () => logbook.errors()[0]);
  const proxy = createServer((socket) => {
    const there = connect(Number(at.port), at.hostname);
    for (const end of [socket, there]) end.on('error', () => socket.destroy());
    socket.pipe(there).pipe(socket);
  });
  await new Promise<void>((resolve) => void proxy.listen(port, at.hostname, resolve));
  onTestFinished(() => void proxy.close());
  // Whoever asks for health has the store asked, every five seconds at most.
  const said = await until('it is told', () => {
    keep.health();
    return logbook.lines.find(({ text }) => text.includes('recovered'));
  });
  expect(said).toMatchObject({ level: 'info', text: expect.stringMatching(/ reachable$/) });
});

it('names the doctor command for an unusable journal, and the metrics report no journal', async () => {
  const before = process.cwd();
  const cwd = await realpath(await mkdtemp(join(tmpdir(), 'lastchunk-start-')));
  // No directory can be made where a file is.
  await writeFile(join(cwd, '.lastchunk'), '');
  process.chdir(cwd);
  onTestFinished(async () => {
    process.chdir(before);
    await rm(cwd, { recursive: true, force: true });
  });
  const metrics = prometheus({ registry: new Registry() });
  const logbook = createLogbook();
  const store = postgres({ connectionString: database.url, migrate: true });
  const keep = lastchunk({ store, metrics, logger: logbook.logger });
  onTestFinished(async () => void (await keep.close({ deadlineMs: 1000 })));
  const said = await until('the line is said', () =>
    logbook.errors().find((text) => text.includes('"event":"start"')),
  );
  expect(said).toBe(
    `{"event":"start"} lastchunk: journal in ${cwd}/.lastchunk cannot be used (io-error): \`npx lastchunk doctor --journal ${cwd}/.lastchunk\` says what to do; store ${at()} reachable`,
  );
  expect(logbook.errors().join('\n')).toContain(
    `lastchunk: the journal cannot be relied on; \`npx lastchunk doctor --journal ${cwd}/.lastchunk\` says what to do`,
  );
  const scrape = parseScrape(await metrics.registry.metrics());
  expect(scrape.sum('lastchunk_build_info', { journal: 'none' })).toBe(1);
});

it('is followed by metrics of store and circuit, which follow the state of the database', async () => {
  const metrics = prometheus({ registry: new Registry() });
  const store = postgres({ connectionString: database.url, migrate: true });
  const keep = lastchunk({ store, journal: false, metrics, logger: false });
  onTestFinished(async () => void (await keep.close({ deadlineMs: 1000 })));
  const state = async () => {
    const scrape = parseScrape(await metrics.registry.metrics());
    return [scrape.sum('lastchunk_store_up'), scrape.sum('lastchunk_circuit_open')];
  };
  await until('the store has answered', async () => (await state())[0] === 1);
  expect(keep.health()).toMatchObject({ store: { reachable: true, circuit: 'closed' } });
  await database.server.stop();
  // The store is asked again every five seconds at most.
  await until('the store is away', async () => (await state())[0] === 0);
  expect(keep.health()).toMatchObject({ status: 'failing', store: { reachable: false } });
});
