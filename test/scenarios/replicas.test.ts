/** Instances without a disk on one PostgreSQL, in processes that are killed and stopped: what their clients saw is there, once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type App, startReplicaApp } from '../support/child-process.ts';
import { readDeltas } from '../support/frames.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { postgres, postgresRelay } from '../../src/postgres/index.ts';
import { until } from '../support/until.ts';
import { look } from '../postgres/messages.ts';

let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

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
async function twoApps() {
  const connectionString = await database.newDatabase();
  await using store = closing(postgres({ connectionString }));
  await store.migrate();
  await using relay = closing(postgresRelay({ connectionString }));
  await relay.migrate();
  const [first, second] = [
    await startReplicaApp(connectionString),
    await startReplicaApp(connectionString),
  ];
  const rows = () =>
    look(
      connectionString,
      'SELECT conversation_id, stream_id, content, outcome, complete FROM lastchunk_messages ORDER BY 1',
    );
  return { first, second, rows };
}

function closing<T extends { close(): Promise<void> }>(one: T): T & AsyncDisposable {
  return Object.assign(one, { [Symbol.asyncDispose]: () => one.close() });
}

const talkAt = async (app: App, ids: readonly string[]): Promise<Conversation[]> => {
  const all = ids.map((id) => new Conversation(app, id));
  await until('all of them talk', () => all.every(({ text }) => text.length > 200));
  return all;
};

describe('an instance that is killed without a disk', () => {
  it('has what its clients saw saved by another one, once, but for what it had not told', async () => {
    const { first, second, rows } = await twoApps();
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

  it('has its clients read on elsewhere: every byte that was told, then a broken end', async () => {
    const { first, second, rows } = await twoApps();
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

describe('an instance that is stopped past its lease and woken', () => {
  it('writes no second row, and the better one stays', async () => {
    const { first, rows } = await twoApps();
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
  it('has the very bytes at every offset, and a stop from there reaches its owner', async () => {
    const { first, second, rows } = await twoApps();
    const [ended, endless] = await talkAt(first, ['8', '1']);
    await until('it has ended', () => ended?.isWhole);
    const { bytes, streamId } = ended ?? { bytes: Buffer.alloc(0), streamId: '' };
    for (let offset = 0; offset <= bytes.length; offset += 1 + Math.floor(bytes.length / 60)) {
      const response = await fetch(`${second.url}/streams/${streamId}?offset=${offset}`);
      const body = Buffer.from(await response.arrayBuffer());
      expect(body.equals(bytes.subarray(offset))).toBe(true);
    }
    const stopped = await fetch(`${second.url}/streams/${endless?.streamId}`, { method: 'DELETE' });
    expect(stopped.status).toBe(200);
    expect(await stopped.json()).toMatchObject({ outcome: 'stopped', save: 'saved' });
    await until('its client has a regular end', () => endless?.isWhole);
    expect((await rows()).map(({ outcome }) => outcome)).toEqual(['stopped', 'completed']);
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
