/**
 * Instances without a disk on one PostgreSQL, with a relay there or in Redis, in processes that are killed and stopped: what their
 * clients saw is there, once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, startReplicaApp } from '../support/child-process.ts';
import { readDeltas } from '../support/frames.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { postgres, postgresRelay } from '../../src/postgres/index.ts';
import { hasRedis, startRedis, type TestRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { look } from '../postgres/messages.ts';

let database: TestPostgres;
let redis: TestRedis | undefined;

beforeAll(async () => {
  database = await startPostgres();
  if (present) redis = await startRedis();
});

afterAll(async () => {
  await database.remove();
  await redis?.remove();
});

const present = hasRedis('instances with a relay in Redis');
/** Where the relay is. */
type Engine = 'PostgreSQL' | 'Redis';
const ENGINES: readonly Engine[] = present ? ['PostgreSQL', 'Redis'] : ['PostgreSQL'];

/** What an instance may keep to itself: `flushMs`, and the time that a busy machine takes for an exchange. */
const UNTOLD_MS = 250 + 1_250;

/** What one client got, and when. */
class Conversation {
  readonly id: string;
  streamId = '';
  bytes = Buffer.alloc(0);
  isWhole = false;
  isOver = false;
  readonly #seen: { readonly atMs: number; readonly length: number }[] = [];

  constructor(app: App, id: string) {
    this.id = id;
    void this.#read(app).then(
      () => {
        this.isWhole = true;
        this.isOver = true;
      },
      () => {
        // The server was killed.
        this.isOver = true;
      },
    );
  }

  get text(): string {
    return readDeltas(this.bytes.toString());
  }

  /** What it had got by a time of `performance.now()`. */
  textAt(atMs: number): string {
    const { length = 0 } = this.#seen.findLast((one) => one.atMs <= atMs) ?? {};
    return readDeltas(this.bytes.subarray(0, length).toString());
  }

  async #read(app: App): Promise<void> {
    const { body, headers } = await fetch(`${app.url}/chat/${this.id}`, { method: 'POST' });
    this.streamId = headers.get('x-stream-id') ?? '';
    if (body === null) throw new Error('no body');
    for await (const part of body) {
      this.bytes = Buffer.concat([this.bytes, part]);
      this.#seen.push({ atMs: performance.now(), length: this.bytes.length });
    }
  }
}

/** A database with its tables, and two instances on it. */
async function twoApps(engine: Engine, ahead = false) {
  await database.start();
  const connectionString = await database.newDatabase();
  await using store = closing(postgres({ connectionString }));
  await store.migrate();
  await using relay = closing(postgresRelay({ connectionString }));
  await relay.migrate();
  await redis?.start();
  await redis?.ask('FLUSHALL');
  const port = engine === 'Redis' ? redis?.port : undefined;
  const start = (): Promise<App> => startReplicaApp(connectionString, port, ahead);
  const [first, second] = [await start(), await start()];
  const rows = () =>
    look(
      connectionString,
      'SELECT conversation_id, stream_id, content, outcome, complete FROM lastchunk_messages ORDER BY 1',
    );
  return { first, second, rows, start };
}

function closing<T extends { close(): Promise<void> }>(one: T): T & AsyncDisposable {
  return Object.assign(one, { [Symbol.asyncDispose]: () => one.close() });
}

const talkAt = async (app: App, ids: readonly string[]): Promise<Conversation[]> => {
  const all = ids.map((id) => new Conversation(app, id));
  await until('all of them talk', () => all.every(({ text }) => text.length > 200));
  return all;
};

describe.each(ENGINES)('with a relay in %s', (engine) => {
  describe('an instance that is killed without a disk', () => {
    it('has what its clients saw saved by another one, once, except for what it had not yet flushed', async () => {
      const { first, second, rows } = await twoApps(engine);
      const killed = await talkAt(first, ['1', '2', '3', '5', '6', '7', '9', '10']);
      const [living] = await talkAt(second, ['11']);
      const killedAtMs = performance.now();
      await first.kill();
      await until('all are cut off', () => killed.every(({ isOver }) => isOver));
      await until('all are saved', async () => (await rows()).length >= killed.length);
      const saved = await rows();
      expect(saved.map((row) => String(row['conversation_id'])).toSorted()).toEqual(
        killed.map(({ id }) => id).toSorted(),
      );
      for (const conversation of killed) {
        const row = saved.find(({ conversation_id: id }) => id === conversation.id);
        expect(row).toMatchObject({
          outcome: 'interrupted',
          complete: false,
          stream_id: conversation.streamId,
        });
        const content = String(row?.['content']);
        expect(content.startsWith(conversation.textAt(killedAtMs - UNTOLD_MS))).toBe(true);
        const [short, long] = [content, conversation.text].toSorted((a, b) => a.length - b.length);
        expect(long?.startsWith(String(short))).toBe(true);
      }
      expect(living?.isOver).toBe(false);
    });

    it.each([0, 37, 211])(
      'has all that its clients saw saved if bytes are sent only when the relay has them: killed %s ms later',
      async (afterMs) => {
        const { first, rows } = await twoApps(engine, true);
        const killed = await talkAt(first, ['1', '2', '3', '5', '6', '7']);
        await delay(afterMs);
        await first.kill();
        await until('all are cut off', () => killed.every(({ isOver }) => isOver));
        await until('all are saved', async () => (await rows()).length >= killed.length);
        const saved = new Map(
          (await rows()).map((row) => [row['conversation_id'], String(row['content'])]),
        );
        expect(saved.size).toBe(killed.length);
        for (const { id, text } of killed) expect(saved.get(id)?.slice(0, text.length)).toBe(text);
      },
    );

    it('has its readers resume on another one: every byte that was flushed, then a broken end', async () => {
      const { first, second, rows } = await twoApps(engine);
      const [killed] = await talkAt(first, ['1']);
      if (killed === undefined) throw new Error('nobody talks');
      const offset = 100;
      const reading = readAll(`${second.url}/streams/${killed.streamId}?offset=${offset}`);
      await until('it reads', () => reading.bytes.length > 500);
      await first.kill();
      await until('it is saved', async () => (await rows()).length === 1);
      await until('it is broken off', () => reading.isOver);
      expect(reading.isWhole).toBe(false);
      const expected = killed.bytes.subarray(offset);
      const common = Math.min(expected.length, reading.bytes.length);
      expect(reading.bytes.subarray(0, common).equals(expected.subarray(0, common))).toBe(true);
      const [row] = await rows();
      const told = Buffer.concat([killed.bytes.subarray(0, offset), reading.bytes]);
      expect(readDeltas(told.toString())).toBe(row?.['content']);
    });
  });

  describe('an instance that is stopped past its lease and continued', () => {
    it('writes no second row, and the better version stays', async () => {
      const { first, rows } = await twoApps(engine);
      const [short, endless] = await talkAt(first, ['4', '1']);
      first.freeze();
      await until('another one has saved both', async () => (await rows()).length === 2);
      expect((await rows()).map(({ outcome }) => outcome)).toEqual(['interrupted', 'interrupted']);
      first.thaw();
      await until('the short one is over', () => short?.isOver);
      await until('the better row is there', async () =>
        (await rows()).some(({ complete }) => complete),
      );
      expect(short?.isWhole).toBe(true);
      const [talking, ended, ...more] = await rows();
      expect(more).toEqual([]);
      expect(ended).toMatchObject({
        conversation_id: '4',
        outcome: 'completed',
        content: short?.text,
      });
      expect(talking).toMatchObject({ conversation_id: '1', outcome: 'interrupted' });
      expect(endless?.isOver).toBe(false);
    });
  });

  describe('a stream that is resumed on another instance', () => {
    it('has the same bytes from every offset, and a stop there reaches its owner', async () => {
      const { first, second, rows } = await twoApps(engine);
      const [ended, endless] = await talkAt(first, ['8', '1']);
      await until('it has ended', () => ended?.isWhole);
      const { bytes, streamId } = ended ?? { bytes: Buffer.alloc(0), streamId: '' };
      for (let offset = 0; offset <= bytes.length; offset += 1 + Math.floor(bytes.length / 60)) {
        const response = await fetch(`${second.url}/streams/${streamId}?offset=${offset}`);
        const body = Buffer.from(await response.arrayBuffer());
        expect(body.equals(bytes.subarray(offset))).toBe(true);
      }
      const stopped = await fetch(`${second.url}/streams/${endless?.streamId}`, {
        method: 'DELETE',
      });
      expect(stopped.status).toBe(200);
      expect(await stopped.json()).toMatchObject({ outcome: 'stopped', save: 'saved' });
      await until('its client has a regular end', () => endless?.isWhole);
      expect((await rows()).map(({ outcome }) => outcome)).toEqual(['stopped', 'completed']);
    });
  });

  describe('instances that are killed one after the other, at random', () => {
    it('lose nothing that was flushed, and store no message twice', async () => {
      const { first, second, rows, start } = await twoApps(engine);
      const lost: Conversation[] = [];
      const killedAtMs = new Map<Conversation, number>();
      const alive = [first, second];
      for (let round = 0; round < 3; round += 1) {
        const app = alive.shift();
        if (app === undefined) throw new Error('nobody is alive');
        // None of them comes to an end by itself.
        const ids = Array.from({ length: 5 }, (_, n) => String(1 + 4 * (5 * round + n)));
        const talks = ids.map((id) => new Conversation(app, id));
        await until('all of them have begun', () => talks.every(({ text }) => text !== ''));
        await delay(Math.random() * 4_000);
        for (const talk of talks) killedAtMs.set(talk, performance.now());
        await app.kill();
        lost.push(...talks);
        alive.push(await start());
      }
      await until('all are cut off', () => lost.every(({ isOver }) => isOver));
      const toldOf = (talk: Conversation): string =>
        talk.textAt((killedAtMs.get(talk) ?? 0) - UNTOLD_MS);
      const rowOf = async ({ streamId }: Conversation) =>
        (await rows()).find((row) => row['stream_id'] === streamId);
      // Of one that was killed at its very beginning nobody may have heard.
      for (const talk of lost.filter((one) => toldOf(one) !== '')) {
        const row = await until(`${talk.id} is saved`, () => rowOf(talk));
        const content = String(row['content']);
        expect(content.startsWith(toldOf(talk))).toBe(true);
        const [short, long] = [content, talk.text].toSorted((one, two) => one.length - two.length);
        expect(long?.startsWith(String(short))).toBe(true);
      }
      const saved = (await rows()).map((row) => String(row['stream_id']));
      expect(new Set(saved).size).toBe(saved.length);
      expect(lost.map(({ streamId }) => streamId)).toEqual(expect.arrayContaining(saved));
    }, 180_000);
  });

  describe('an engine that stops and starts again', () => {
    it('stops no stream, and receives all of them again', async () => {
      const { first, rows } = await twoApps(engine);
      const talks = await talkAt(first, ['1', '2', '3']);
      // As in a crash: Redis keeps nothing, and the tables of PostgreSQL are emptied.
      await (engine === 'Redis' ? redis?.kill() : database.stopImmediate());
      const before = talks.map(({ text }) => text.length);
      await until('all of them go on', () =>
        talks.every(({ text }, n) => text.length > 200 + (before[n] ?? 0)),
      );
      await (engine === 'Redis' ? redis?.start() : database.start());
      const backAtMs = performance.now();
      await until('they go on for longer than a lease', () =>
        talks.every((talk) => performance.now() - backAtMs > 3_000 && !talk.isOver),
      );
      const killedAtMs = performance.now();
      await first.kill();
      await until('all are saved', async () => (await rows()).length >= talks.length);
      const saved = await rows();
      expect(saved).toHaveLength(talks.length);
      for (const talk of talks) {
        const row = saved.find((one) => one['stream_id'] === talk.streamId);
        expect(String(row?.['content']).startsWith(talk.textAt(killedAtMs - UNTOLD_MS))).toBe(true);
      }
    });
  });
});

describe.runIf(present)('an unavailable PostgreSQL, with a relay in Redis and no journal', () => {
  it('delays no end, and has every message when it is back, although the instance is gone', async () => {
    const { first, rows } = await twoApps('Redis');
    const [ending, endless] = await talkAt(first, ['4', '1']);
    await database.stop();
    // The relay has it: its client sees the end.
    await until('it has its end', () => ending?.isWhole);
    expect(endless?.isOver).toBe(false);
    const killedAtMs = performance.now();
    await first.kill();
    await database.start();
    await until('both are saved', async () => (await rows()).length === 2);
    const [interrupted, completed] = await rows();
    expect(completed).toMatchObject({
      conversation_id: '4',
      outcome: 'completed',
      complete: true,
      content: ending?.text,
    });
    expect(interrupted).toMatchObject({ conversation_id: '1', outcome: 'interrupted' });
    const told = endless?.textAt(killedAtMs - UNTOLD_MS);
    expect(String(interrupted?.['content']).startsWith(String(told))).toBe(true);
  });
});

/** Reads a response for as long as there is one. */
function readAll(url: string): { bytes: Buffer; isWhole: boolean; isOver: boolean } {
  const seen = { bytes: Buffer.alloc(0), isWhole: false, isOver: false };
  const read = async (): Promise<void> => {
    const { body } = await fetch(url);
    if (body === null) throw new Error('no body');
    for await (const part of body) seen.bytes = Buffer.concat([seen.bytes, part]);
    seen.isWhole = true;
  };
  void read()
    .catch(() => {
      // It is broken off.
    })
    .finally(() => {
      seen.isOver = true;
    });
  return seen;
}
