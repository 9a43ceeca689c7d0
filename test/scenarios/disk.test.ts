/** The journal's disk on bad days, seen from the app: an error at the start, or a stream that goes on. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  type GuardOptions,
  lastchunk,
  LastchunkError,
  type LastchunkOptions,
} from '../../src/index.ts';
import { createChat, relay } from '../support/chat.ts';
import { createFullFixture, type FullFixture } from '../support/full-fixture.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import {
  createControllableUpstream,
  type ControllableUpstream,
} from '../support/controllable-upstream.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

// A test that failed may have left it stopped.
afterEach(() => database.start());

afterAll(() => database.remove());

const MIB = 1024 * 1024;

describe('a journal that cannot be used', () => {
  it.each([
    ['is a file', makeFile],
    ['lies below a file', async () => join(await makeFile(), 'journal')],
    ['may not be written', makeReadOnly],
  ])('because its path %s is an error at the start that names it', async (_, make) => {
    const path = await make();
    for (const journal of [path, { path, maxBytes: 16 * MIB }]) {
      const error = asNobody(() => thrown({ store: createMemoryStore(), journal }));
      expect(error).toBeInstanceOf(LastchunkError);
      expect(error).toMatchObject({ code: 'journal-unusable' });
      expect(error?.message).toContain(path);
      expect(error?.cause).toBeInstanceOf(Error);
    }
  });

  function thrown(options: LastchunkOptions): Error | undefined {
    try {
      lastchunk(options);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : undefined;
    }
  }
});

describe('the disk of the journal is full while answers stream', () => {
  it('and they continue, are saved to the database, and the journal recovers', async () => {
    const { journal, room } = await smallDisk();
    const fixture = await createFullFixture(database, spans, { journal });
    const ask = await tappedChat(fixture, { confirmTimeoutMs: 30_000 });
    const long = await ask('long');
    const filling = await fill(fixture, long.upstream, room);
    expect(fixture.keep.health()).toMatchObject({
      status: 'degraded',
      reasons: ['journal-degraded'],
      journal: { degraded: 'full' },
    });
    expect(told(fixture, 'the journal cannot be relied on')).toEqual(['error']);

    const short = await ask('short');
    short.upstream.push('said while ', 'the disk was full');
    short.upstream.end();
    expect((await short.httpClient.over()).whole).toBe(true);
    expect(fixture.recorded.holds).toEqual(['saved']);
    expect((await fixture.scrape()).sum('lastchunk_journal_degraded')).toBe(1);
    long.upstream.push('the end');
    long.upstream.end();
    await fixture.recorded.ended(2);
    expect(fixture.recorded.holds).toEqual(['saved', 'saved']);
    const rows = await fixture.rows();
    expect(new Map(rows.map((row) => [row.conversation_id, row.content]))).toEqual(
      new Map([
        ['long', `${filling}the end`],
        ['short', 'said while the disk was full'],
      ]),
    );
    expect(rows.every(({ outcome, complete }) => outcome === 'completed' && complete)).toBe(true);
    expect((await long.httpClient.over()).whole).toBe(true);

    await until('the journal is well again', () => fixture.keep.health().status === 'healthy');
    expect(told(fixture, 'the journal works again')).toEqual(['info']);
    expect((await fixture.scrape()).sum('lastchunk_journal_degraded')).toBe(0);
    await database.stopImmediate();
    const later = await ask('later');
    later.upstream.push('said when ', 'it had room');
    later.upstream.end();
    expect((await later.httpClient.over()).whole).toBe(true);
    expect(await fixture.recorded.ended(3)).toMatchObject({ save: 'journaled' });
    await database.start();
    await until('it is replayed', async () => (await fixture.rows()).length === 3);
    const scrape = await fixture.scrape();
    expect(scrape.sum('lastchunk_saves_expected_total')).toBe(3);
    expect(scrape.sum('lastchunk_saves_total', { result: 'saved' })).toBe(2);
    expect(scrape.sum('lastchunk_saves_total', { result: 'journaled' })).toBe(1);
    expect(scrape.sum('lastchunk_saves_pending')).toBe(0);
  });

  it('and a message that was lost because the database was unavailable too is saved when both are back', async () => {
    const { journal, room } = await smallDisk();
    const fixture = await createFullFixture(database, spans, { journal });
    const ask = await tappedChat(fixture, { confirmTimeoutMs: 500, missingAfterMs: 2_000 });
    const long = await ask('long');
    await fill(fixture, long.upstream, room);
    await database.stopImmediate();
    const short = await ask('short');
    short.upstream.push('said while ', 'nothing worked');
    short.upstream.end();
    expect((await short.httpClient.over()).whole).toBe(true);
    expect(['lost', 'missing']).toContain((await fixture.recorded.ended(1)).save);

    await database.start();
    long.upstream.push('the end');
    long.upstream.end();
    await fixture.recorded.ended(2);
    await until('both are there', async () => (await fixture.rows()).length === 2);
    const rows = await fixture.rows();
    expect(rows.find((row) => row.conversation_id === 'short')).toMatchObject({
      content: 'said while nothing worked',
      complete: true,
    });
  });

  /** A chat whose handlers say what is pushed into the upstream of their conversation. */
  async function tappedChat(fixture: FullFixture, options: GuardOptions) {
    const upstreams = new Map<string, ControllableUpstream>();
    const chat = await createChat(
      fixture,
      (req, res, next) => {
        const upstream = createControllableUpstream();
        upstreams.set(String(req.params['id']), upstream);
        return relay(upstream)(req, res, next);
      },
      { maxBytes: 64 * MIB, ...options },
    );
    return async (id: string) => {
      const httpClient = await chat.ask(id);
      return { httpClient, upstream: await until('its handler runs', () => upstreams.get(id)) };
    };
  }

  /** Says as much as the disk does not hold, and returns it. */
  async function fill(
    fixture: FullFixture,
    upstream: ControllableUpstream,
    room: number,
  ): Promise<string> {
    const piece = 'x'.repeat(64 * 1024);
    let pieces = 0;
    await until('the disk is full', async () => {
      if (pieces * piece.length < 2 * room) {
        upstream.push(piece);
        pieces += 1;
      }
      return (await fixture.scrape()).sum('lastchunk_journal_degraded') === 1;
    });
    return piece.repeat(pieces);
  }

  function told(fixture: FullFixture, what: string): string[] {
    return fixture.logbook.lines
      .filter(({ text }) => text.includes(what))
      .map(({ level }) => level);
  }
});

async function emptyDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'lastchunk-disk-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function makeFile(): Promise<string> {
  const path = await emptyDirectory();
  await chmod(path, 0o755);
  await writeFile(join(path, 'file'), 'of somebody else');
  return join(path, 'file');
}

async function makeReadOnly(): Promise<string> {
  const path = await emptyDirectory();
  await chmod(path, 0o555);
  return path;
}

/** Nothing is forbidden to root, so root does it as somebody else. `work` is over when it returns. */
function asNobody<T>(work: () => T): T {
  if (process.getuid?.() !== 0) return work();
  process.seteuid?.('nobody');
  try {
    return work();
  } finally {
    process.seteuid?.(0);
  }
}

/** A journal with little room: on a tmpfs where we may mount one, else by its own bound. */
async function smallDisk() {
  const path = await emptyDirectory();
  const room = 2 * MIB;
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${room},mode=0700`, 'tmpfs', path], {
      stdio: 'ignore',
    });
  } catch {
    // Not allowed here.
    return { journal: { path, maxBytes: 16 * MIB, ephemeral: true }, room: 16 * MIB };
  }
  onTestFinished(() => void execFileSync('umount', ['-l', path]));
  return { journal: { path, ephemeral: true }, room };
}
