/** What `lastchunk journal purge --conversation` takes out of relays: real tables, and a real Redis where there is one. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { LastchunkError } from '../../../src/core/errors.ts';
import { openRedis } from '../../../src/cli/redis.ts';
import { postgresRelay } from '../../../src/postgres/index.ts';
import { linksOf } from '../../../src/redis/client.ts';
import { redisRelay } from '../../../src/redis/index.ts';
import type { Relay } from '../../../src/relay/port.ts';
import { look } from '../../postgres/messages.ts';
import { EMPTY_BATCH } from '../../relay/empty-batch.ts';
import { ROOT } from '../../support/imports.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { hasRedis, startRedis, type TestRedis } from '../../support/redis.ts';
import { runCommand } from '../run-command.ts';

/** Two streams of one conversation and one of another. */
async function fill(relay: Relay): Promise<void> {
  const streams = { s1: 'mine', s2: 'mine', s3: 'others' };
  await relay.exchange({
    ...EMPTY_BATCH,
    registers: true,
    openings: Object.keys(streams).map((streamId) => ({ streamId, head: '{}', startedAtMs: 1 })),
    states: Object.entries(streams).map(([streamId, conversationId]) => ({
      streamId,
      conversationId,
      heldFrom: null,
      ending: null,
      end: null,
    })),
    parts: Object.keys(streams).map((streamId) => ({ streamId, at: 0, body: Buffer.from('text') })),
  });
  await relay.close();
}

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lastchunk-purge-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
});

const purge = (url: string, ...argv: readonly string[]) =>
  runCommand(['journal', 'purge', '--conversation', 'mine', '--dir', dir, ...argv], {
    DATABASE_URL: url,
  });

describe('the relay in PostgreSQL', () => {
  let server: TestPostgres;
  let url: string;
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server.remove());
  beforeEach(async () => {
    url = await server.newDatabase();
  });

  it('loses exactly the purged conversation, with the journal', async () => {
    await fill(postgresRelay({ connectionString: url, migrate: true }));
    expect(await purge(url)).toEqual({
      exitCode: 0,
      stdout: '2 purged from the relay in PostgreSQL\n0 purged\n',
      stderr: '',
    });
    expect(await look(url, 'SELECT stream_id AS id FROM lastchunk_relay_parts')).toEqual([
      { id: 's3' },
    ]);
  });

  it('loses the conversation without a journal, in a schema of its own', async () => {
    await look(url, 'CREATE SCHEMA chat');
    await fill(postgresRelay({ connectionString: url, migrate: true, schema: 'chat' }));
    rmSync(dir, { recursive: true });
    expect(await purge(url, '--no-journal', '--schema', 'chat')).toMatchObject({
      exitCode: 0,
      stdout: '2 purged from the relay in PostgreSQL\n',
    });
    expect(await look(url, 'SELECT id FROM chat.lastchunk_relay_streams')).toEqual([{ id: 's3' }]);
  });

  it('that does not exist is reported, and is a failure with --relay', async () => {
    expect(await purge(url)).toEqual({
      exitCode: 0,
      stdout: 'there is no relay in PostgreSQL\n0 purged\n',
      stderr: '',
    });
    const { exitCode, stderr } = await purge(url, '--relay');
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('lastchunk migrate --relay')]);
    expect((await purge(url, '--no-relay')).stdout).toContain('no relay was looked for');
  });

  it('that does not answer is a failure, and the journal is purged all the same', async () => {
    const { exitCode, stdout, stderr } = await purge('postgres://u:secret@127.0.0.1:1/db');
    expect([exitCode, stdout]).toEqual([1, '0 purged\n']);
    expect(stderr).toMatch(/the relay in PostgreSQL is not purged: .*ECONNREFUSED/);
    expect(stderr).not.toContain('secret');
  });

  it('is not purged if the directory of the journal is wrong', async () => {
    await fill(postgresRelay({ connectionString: url, migrate: true }));
    rmSync(dir, { recursive: true });
    expect((await purge(url)).stderr).toContain('ENOENT');
    expect(await look(url, 'SELECT id FROM lastchunk_relay_streams')).toHaveLength(3);
  });
});

it.each(['ioredis', 'redis'])('uses the client %s that is installed in the app', (name) => {
  mkdirSync(join(dir, 'node_modules'));
  symlinkSync(join(ROOT, 'node_modules', name), join(dir, 'node_modules', name));
  const client = openRedis('redis://localhost', [join(dir, 'app.js')]);
  expect('callBuffer' in client).toBe(name === 'ioredis');
  expect(() => linksOf(client, 1_000)).not.toThrow();
});

it('names the option, and the packages of which one is missing', () => {
  const places = [join(dir, 'app.js')];
  expect(() => openRedis('redis://localhost', places)).toThrow(LastchunkError);
  expect(() => openRedis('redis://localhost', places)).toThrow(/`--redis-url` .*ioredis or redis/);
});

const present = hasRedis('the purge of a relay in Redis');

describe.runIf(present)('the relay in Redis', () => {
  let server: TestRedis;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.remove());
  beforeEach(() => server.ask('FLUSHALL'));

  const open = (prefix?: string): Relay =>
    redisRelay({ client: new Redis({ port: server.port, lazyConnect: true }), prefix });

  it('loses exactly the purged conversation of its prefix', async () => {
    await fill(open());
    await fill(open('chat'));
    const address = `redis://127.0.0.1:${server.port}`;
    expect(await purge('', '--redis-url', address, '--redis-prefix', 'chat')).toEqual({
      exitCode: 0,
      stdout: '2 purged from the relay in Redis\n0 purged\n',
      stderr: '',
    });
    const bodies = (await server.ask('KEYS', '*:body:*')) as string[];
    expect(bodies.toSorted()).toEqual([
      '{chat}:body:s3',
      '{lastchunk}:body:s1',
      '{lastchunk}:body:s2',
      '{lastchunk}:body:s3',
    ]);
  });
});

it('a Redis that does not answer is a failure, and its password is not printed', async () => {
  const { exitCode, stderr } = await purge('', '--redis-url', 'redis://:secret@127.0.0.1:1');
  expect([exitCode, stderr]).toEqual([
    1,
    expect.stringMatching(/the relay in Redis is not purged: .*ECONNREFUSED/),
  ]);
  expect(stderr).not.toContain('secret');
});
