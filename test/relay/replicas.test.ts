import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Relay } from '../../src/relay/port.ts';
import { chatChunk } from '../support/frames.ts';
import { openClient } from '../support/http-client.ts';
import {
  createShared,
  type Replica,
  type ReplicaOptions,
  type Shared,
  startReplica,
} from '../support/replicas.ts';
import { until } from '../support/until.ts';

/** Two replicas, and a stream that is live in the first and has said something. */
async function begin(options: ReplicaOptions = {}) {
  const shared = createShared();
  const [here, there] = [await startReplica(shared, options), await startReplica(shared)];
  return { shared, here, there, ...(await beginAt(here, shared)) };
}

async function beginAt(replica: Replica, shared: Shared) {
  const client = await openClient(replica.server, '/chat/c', { method: 'POST' });
  const talk = await until('the handler runs', () => replica.talks[0]);
  talk.res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
  await client.sees('hello');
  await told(shared, talk.streamId, 'hello');
  return { client, talk };
}

const told = (shared: Shared, streamId: string, text: string): Promise<unknown> =>
  until(`the engine has ${text}`, () => shared.relay.bodyOf(streamId).includes(text));

/** The instance is out of reach, and its lease is over. */
function die({ network }: Replica, { relay }: Shared): void {
  network.isCut = true;
  relay.advance(2_001);
}

const rowOf = (shared: Shared) =>
  until('the message is saved', () => shared.store.rows.size > 0 && shared.store.row);

const resume = (replica: Replica, streamId: string, offset = 0) =>
  openClient(replica.server, `/streams/${streamId}?offset=${offset}`);

describe('an instance whose lease has expired', () => {
  it('has its streams saved by another one as interrupted, and its readers cut off', async () => {
    const { shared, here, there, talk } = await begin();
    const reader = await resume(there, talk.streamId);
    await reader.sees('hello');
    die(here, shared);
    expect(await rowOf(shared)).toMatchObject({
      streamId: talk.streamId,
      conversationId: 'c',
      text: 'hello',
      outcome: 'interrupted',
      side: 'server',
      complete: false,
    });
    expect((await reader.over()).whole).toBe(false);
    expect(reader.text).toBe(chatChunk({ content: 'hello' }));
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    expect(shared.store.asked).toHaveLength(1);
  });

  it('registers again when it runs again, continues, and leaves one row', async () => {
    const { shared, here, there, client, talk } = await begin();
    die(here, shared);
    await rowOf(shared);
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    talk.res.write(chatChunk({ content: ' again' }));
    here.network.isCut = false;
    await told(shared, talk.streamId, 'again');
    const reader = await resume(there, talk.streamId);
    talk.res.end(chatChunk({}, 'stop'));
    expect((await client.over()).whole).toBe(true);
    const reply = await reader.over();
    expect(reply.whole).toBe(true);
    expect(reply.body.toString()).toBe(client.text);
    const final = { text: 'hello again', complete: true, outcome: 'completed' };
    await until('the better one is saved', () => shared.store.row.complete);
    expect(shared.store.row).toMatchObject(final);
    expect(here.logbook.lines.some(({ text }) => text.includes('lease of this instance'))).toBe(
      true,
    );
  });

  it('has its streams saved once, by any number of other instances', async () => {
    const { shared, here, talk } = await begin();
    await startReplica(shared);
    await startReplica(shared);
    die(here, shared);
    await rowOf(shared);
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    expect(shared.store.asked).toHaveLength(1);
  });

  it('has nothing saved again if its messages are in the store', async () => {
    const { shared, here, there, talk } = await begin();
    talk.res.end(chatChunk({}, 'stop'));
    await here.recorded.ended();
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    die(here, shared);
    await until('it is claimed', () => shared.relay.instances.length === 1);
    const reply = await (await resume(there, talk.streamId)).over();
    expect(reply.whole).toBe(true);
    expect(shared.store.asked).toHaveLength(1);
  });

  it('has its streams saved when the store is back, if that was unavailable too', async () => {
    const { shared, here, there } = await begin();
    shared.store.fail(new Error('away'));
    die(here, shared);
    await until('the other one has tried', () => there.recorded.attempts.length > 0);
    expect(shared.store.rows.size).toBe(0);
    shared.store.fail(undefined);
    expect(await rowOf(shared)).toMatchObject({ text: 'hello', outcome: 'interrupted' });
  });
});

describe('without a journal', () => {
  it('a message that the relay has acknowledged is journaled, and saved by another instance with its outcome', async () => {
    const { shared, here, client, talk } = await begin();
    shared.store.fail(new Error('away'));
    talk.res.end(chatChunk({ content: ' world' }) + chatChunk({}, 'stop'));
    expect((await client.over()).whole).toBe(true);
    expect(await here.recorded.ended()).toMatchObject({ save: 'journaled', outcome: 'completed' });
    die(here, shared);
    shared.store.fail(undefined);
    expect(await rowOf(shared)).toMatchObject({
      text: 'hello world',
      outcome: 'completed',
      complete: true,
      revision: 0,
      conversationId: 'c',
    });
  });

  it('the backlog contains such a message, and replay() saves it', async () => {
    const { shared, here, talk } = await begin();
    shared.store.fail(new Error('away'));
    talk.res.end(chatChunk({}, 'stop'));
    expect(await here.recorded.ended()).toMatchObject({ save: 'journaled' });
    shared.store.fail(undefined);
    await here.keep.replay();
    expect(await rowOf(shared)).toMatchObject({ text: 'hello', complete: true });
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
  });

  it('a message that waits longer than the retention is saved whole, here and elsewhere', async () => {
    for (const isKilled of [false, true]) {
      const { shared, here, talk } = await begin();
      shared.store.fail(new Error('away'));
      talk.res.end(chatChunk({ content: ' world' }) + chatChunk({}, 'stop'));
      expect(await here.recorded.ended()).toMatchObject({ save: 'journaled' });
      here.network.isCut = isKilled;
      shared.relay.advance(600_000);
      shared.store.fail(undefined);
      expect(await rowOf(shared)).toMatchObject({ text: 'hello world', complete: true });
    }
  });

  it('a message whose body the relay has lost is not saved, and reported as lost', async () => {
    const { shared, here, there, talk } = await begin();
    shared.store.fail(new Error('away'));
    talk.res.end(chatChunk({}, 'stop'));
    expect(await here.recorded.ended()).toMatchObject({ save: 'journaled' });
    die(here, shared);
    await until('the other one has it', () => there.recorded.attempts.length > 0);
    await shared.relay.connect().purge('c');
    shared.store.fail(undefined);
    const { streamId } = talk;
    await until('it is told', () =>
      there.logbook.errors().some((text) => text.includes(streamId) && text.includes('is lost')),
    );
    expect(await there.keep.replay()).toMatchObject({ left: 0 });
    expect(shared.store.rows.size).toBe(0);
  });

  it('a message is not complete if the relay has less of its body than its end states', async () => {
    const { shared, here, talk } = await begin();
    shared.store.fail(new Error('away'));
    talk.res.end(chatChunk({ content: ' world' }) + chatChunk({}, 'stop'));
    expect(await here.recorded.ended()).toMatchObject({ save: 'journaled' });
    die(here, shared);
    shared.relay.cut(talk.streamId);
    shared.store.fail(undefined);
    expect(await rowOf(shared)).toMatchObject({ text: 'hello', complete: false });
  });

  it('a message that neither store nor relay accepts is not journaled', async () => {
    const { shared, here, client, talk } = await begin({
      guard: { confirmTimeoutMs: 200, missingAfterMs: 600 },
    });
    shared.store.fail(new Error('away'));
    shared.relay.fail(new Error('away'));
    talk.res.end(chatChunk({}, 'stop'));
    await client.over();
    expect(here.recorded.holds).toEqual(['unconfirmed']);
    expect(await here.recorded.ended()).toMatchObject({ save: 'lost' });
  });
});

describe('a message that the store refuses permanently', () => {
  const REFUSAL = Object.assign(new Error('invalid byte sequence'), { code: '22021' });

  it.each([
    ['without a journal', false as const],
    ['with one', { ephemeral: true } as const],
  ])('is claimed by no other instance: %s', async (_, given) => {
    const path = await mkdtemp(join(tmpdir(), 'lastchunk-relay-'));
    onTestFinished(() => rm(path, { recursive: true }));
    const { shared, here, there, talk } = await begin({ journal: given && { ...given, path } });
    shared.store.fail(REFUSAL);
    talk.res.end(chatChunk({}, 'stop'));
    await here.recorded.ended();
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    die(here, shared);
    await until('it is claimed', () => shared.relay.instances.length === 1);
    await there.keep.replay();
    expect(shared.store.asked).toHaveLength(1);
    expect(here.keep.health().journal?.entries ?? 0).toBe(0);
  });
});

describe('the streams of a dead instance', () => {
  it('are saved even if one of them cannot be read, which is reported and given up', async () => {
    const { shared, here, there, talk } = await begin();
    const dead = shared.relay.connect();
    const openings = ['bad head', 'bad ending'].map((streamId) => ({
      streamId,
      head: streamId === 'bad head' ? 'no JSON' : JSON.stringify({ opened: { id: streamId } }),
      startedAtMs: 1,
    }));
    const rest = { conversationId: null, heldFrom: null, ending: 'no JSON', end: null };
    await dead.exchange({
      ...NOTHING_TOLD,
      openings,
      states: openings.map(({ streamId }) => ({ streamId, ...rest })),
      parts: [{ streamId: 'bad ending', at: 0, body: Buffer.from('plain text') }],
    });
    // Whoever is first: the dead one has the bad streams, `here` has a good one.
    die(here, shared);
    await until('both are saved', () => shared.store.rows.size === 2);
    const rows = [...shared.store.rows.values()];
    expect(rows.find(({ streamId }) => streamId === 'bad ending')).toMatchObject({
      text: 'plain text',
      complete: false,
    });
    expect(rows.some(({ streamId }) => streamId === talk.streamId)).toBe(true);
    await until('the other is given up', () => shared.relay.isSettled('bad head'));
    expect(there.logbook.errors().some((text) => text.includes('bad head'))).toBe(true);
  });
});

describe('a claim whose answer is lost', () => {
  it('is repeated: its streams are saved, and a stream of the claimant is not', async () => {
    const shared = createShared();
    const here = await startReplica(shared);
    const engine = shared.relay.connect();
    const lost = { claims: 0 };
    const claim: Relay['claim'] = async (...args) => {
      const claims = await engine.claim(...args);
      if (claims.length === 0 || lost.claims === 2) return claims;
      lost.claims += 1;
      throw new Error('the connection is closed');
    };
    const there = await startReplica(shared, {
      relay: { engine: { ...engine, claim }, flushMs: 10, leaseMs: 2_000 },
    });
    const { talk: own } = await beginAt(there, shared);
    const { talk: dying } = await beginAt(here, shared);
    die(here, shared);
    expect(await rowOf(shared)).toMatchObject({ streamId: dying.streamId, outcome: 'interrupted' });
    await until('it is settled', () => shared.relay.isSettled(dying.streamId));
    expect(lost.claims).toBe(2);
    expect(shared.relay.isSettled(own.streamId)).toBe(false);
    expect(shared.store.asked).toHaveLength(1);
  });
});

describe('a relay that refuses one call', () => {
  it('is reported with that call, and not as unavailable', async () => {
    const shared = createShared();
    const engine = shared.relay.connect();
    const refused = (): Promise<never> => Promise.reject(new Error('no right'));
    const replica = await startReplica(shared, {
      relay: { engine: { ...engine, claim: refused, close: refused }, flushMs: 10, leaseMs: 2_000 },
    });
    await shared.relay.connect().exchange({ ...NOTHING_TOLD, leaseMs: 0 });
    const told = (word: string) =>
      replica.logbook.lines.filter(({ text }) => text.includes(word)).length;
    await until('it is told', () => told('"task":"claim"') > 0);
    expect(told('is away')).toBe(0);
    expect(replica.keep.health().reasons).not.toContain('relay-away');
    await replica.keep.close();
    expect(told('"task":"close"')).toBe(1);
    expect(told('"task":"claim"')).toBe(1);
  });
});

const NOTHING_TOLD = {
  instance: 'dead',
  registers: true,
  leaseMs: 2_000,
  retainMs: 1_000,
  openings: [],
  parts: [],
  states: [],
  settled: [],
  following: [],
};

describe('a relay that is unavailable', () => {
  it('stops no stream, is shown in health, and receives everything afterwards', async () => {
    const { shared, here, there, client, talk } = await begin();
    expect(here.keep.health()).toMatchObject({ relay: { up: true }, reasons: [] });
    shared.relay.fail(new Error('away'));
    const words = Array.from({ length: 50 }, (_, n) => ` word${n}`);
    for (const word of words) talk.res.write(chatChunk({ content: word }));
    await client.sees('word49');
    await until('health says so', () => here.keep.health().reasons.includes('relay-away'));
    expect(here.keep.health()).toMatchObject({
      status: 'degraded',
      relay: { up: false, endedBytes: 0, dropped: 0 },
    });
    const warned = here.logbook.lines.filter(({ text }) =>
      text.includes('the relay does not answer'),
    );
    expect(warned).toMatchObject([{ level: 'warn' }]);
    shared.relay.fail(undefined);
    await told(shared, talk.streamId, 'word49');
    await until('health is well', () => here.keep.health().relay?.up);
    talk.res.end(chatChunk({}, 'stop'));
    const reply = await (await resume(there, talk.streamId)).over();
    expect(reply.body.equals((await client.over()).body)).toBe(true);
  });

  it('leaves the bodies of ended streams in memory, which health shows', async () => {
    const { shared, here, client, talk } = await begin();
    shared.relay.fail(new Error('away'));
    talk.res.end(chatChunk({}, 'stop'));
    const { body } = await client.over();
    const waits = (): number | undefined => here.keep.health().relay?.endedBytes;
    await until('it waits', () => waits() === body.length);
    shared.relay.fail(undefined);
    await until('the engine has it', () => waits() === 0);
    expect(shared.relay.bodyOf(talk.streamId)).toBe(body.toString());
  });

  it('loses nothing of an exchange with an unknown result', async () => {
    const { shared, there, client, talk } = await begin();
    shared.relay.failAfter(new Error('cut'));
    talk.res.write(chatChunk({ content: ' one' }));
    await told(shared, talk.streamId, 'one');
    talk.res.write(chatChunk({ content: ' two' }));
    await told(shared, talk.streamId, 'two');
    shared.relay.failAfter(undefined);
    talk.res.end(chatChunk({}, 'stop'));
    const reply = await (await resume(there, talk.streamId)).over();
    expect(reply.body.equals((await client.over()).body)).toBe(true);
  });
});

describe('stopHandler()', () => {
  const stop = (replica: Replica, streamId: string, user = 'alice') =>
    openClient(replica.server, `/streams/${streamId}`, {
      method: 'DELETE',
      headers: { 'x-user': user },
    });

  it('stops a stream of another instance, with the same answer as for its own', async () => {
    const { shared, here, there, client, talk } = await begin();
    const reply = await (await stop(there, talk.streamId)).over();
    expect(reply.status).toBe(200);
    const { messageId } = { messageId: shared.store.row.id };
    expect(JSON.parse(reply.body.toString())).toEqual({
      streamId: talk.streamId,
      messageId,
      outcome: 'stopped',
      save: 'saved',
    });
    expect((await client.over()).whole).toBe(true);
    expect(await here.recorded.ended()).toMatchObject({ outcome: 'stopped', side: 'client' });
  });

  it('ends a detached stream for its readers too', async () => {
    const { here, there, client, talk } = await begin();
    const reader = await resume(there, talk.streamId);
    await reader.sees('hello');
    client.rst();
    await until('it is detached', () => here.recorded.finishing.length > 0);
    expect((await (await stop(there, talk.streamId)).over()).status).toBe(200);
    expect((await reader.over()).whole).toBe(true);
  });

  it('answers 404 for an unknown, denied or ended stream, and 503 while the relay is unavailable', async () => {
    const { shared, here, there, talk } = await begin();
    expect((await (await stop(there, talk.streamId, 'mallory')).over()).status).toBe(404);
    expect((await (await stop(there, 'nobody')).over()).status).toBe(404);
    shared.relay.fail(new Error('away'));
    expect((await (await stop(there, talk.streamId)).over()).status).toBe(503);
    shared.relay.fail(undefined);
    expect(here.recorded.ends).toEqual([]);
    talk.res.end(chatChunk({}, 'stop'));
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    expect((await (await stop(there, talk.streamId)).over()).status).toBe(404);
  });
});

describe('the traffic of a stream', () => {
  it('is one part for each flush, however many chunks were written', async () => {
    const { shared, talk } = await begin();
    const before = shared.relay.exchanges.length;
    for (let n = 0; n < 500; n += 1) talk.res.write(chatChunk({ content: ` ${n}` }));
    await told(shared, talk.streamId, ' 499');
    const parts = shared.relay.exchanges.slice(before).flatMap((batch) => batch.parts);
    expect(parts.length).toBeLessThan(5);
  });
});

describe('close()', () => {
  it('leaves no stream to others: live streams are interrupted and saved, and readers cut off', async () => {
    const { shared, here, there, talk } = await begin();
    const reader = await resume(there, talk.streamId);
    await reader.sees('hello');
    await here.keep.close({ deadlineMs: 300 });
    expect(shared.store.row).toMatchObject({ text: 'hello', outcome: 'interrupted' });
    expect((await reader.over()).whole).toBe(false);
    expect(shared.relay.isSettled(talk.streamId)).toBe(true);
    expect(shared.relay.instances).toHaveLength(1);
    expect(shared.store.asked).toHaveLength(1);
  });
});
