/**
 * What every engine of a relay has to do, asked over `Relay` alone. An engine of your own passes when
 * `describeRelay('mine', async () => ({ connect, expire, forget }))` does.
 */
import { randomUUID } from 'node:crypto';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { EMPTY_BATCH } from './empty-batch.ts';
import type { Relay, RelayAnswer, RelayBatch, RelayEnd, RelayState } from '../../src/relay/port.ts';

/** An empty engine of one test. */
export interface TestedRelay {
  /** What one instance has of it. */
  connect(): Relay;
  /** The lease of this instance is over, by the engine's clock. */
  expire(instance: string): Promise<void>;
  /** Whatever has an end is retained no longer, by the engine's clock. */
  forget(): Promise<void>;
  /** Ways in which it is out of order for a while; each call of an instance then rejects within ten seconds. */
  readonly faults: readonly RelayFault[];
}

/** What can be wrong with an engine. */
export interface RelayFault {
  readonly name: string;
  begin(): Promise<void>;
  end(): Promise<void>;
}

const LEASE_MS = 600_000;
const RETAIN_MS = 600_000;
const END: RelayEnd = { isTidy: true, length: 5, outcome: 'completed', save: 'saved' };

/** The suite for one engine; `open` is called before each test. */
export function describeRelay(name: string, open: () => Promise<TestedRelay>): void {
  describe(`the relay in ${name}`, () => {
    let engine: TestedRelay;
    let owner: Instance;
    let other: Instance;
    beforeEach(async () => {
      engine = await open();
      owner = new Instance(engine.connect(), 'owner');
      other = new Instance(engine.connect(), 'other');
      await owner.tell({ registers: true });
      await other.tell({ registers: true });
    });

    describe('exchange', () => {
      it('stores parts, and returns them from any offset', async () => {
        await owner.opens('s');
        await owner.writes('s', 0, 'hello ');
        await owner.writes('s', 6, 'wörld');
        const whole = Buffer.from('hello wörld');
        for (let offset = 0; offset <= whole.length; offset += 1) {
          expect((await other.reads('s', offset)).equals(whole.subarray(offset))).toBe(true);
        }
        expect((await other.reads('s', 400)).length).toBe(0);
      });

      it('stores bytes that are not text', async () => {
        const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
        await owner.opens('s');
        await owner.tell({ parts: [{ streamId: 's', at: 0, body: bytes }] });
        expect([...(await other.reads('s', 0))]).toEqual([...bytes]);
      });

      it('accepts a batch that it has already stored', async () => {
        await owner.opens('s');
        await owner.writes('s', 0, 'hello');
        await owner.writes('s', 0, 'hello');
        await owner.writes('s', 0, 'hel');
        await owner.writes('s', 0, 'hello world');
        expect((await other.reads('s', 0)).toString()).toBe('hello world');
      });

      it('returns nothing behind a gap, and everything to an owner that fills it', async () => {
        await owner.opens('s');
        await owner.writes('s', 0, 'hello');
        const answer = await owner.writes('s', 9, 'late');
        expect((await other.reads('s', 0)).toString()).toBe('hello');
        expect((await other.reads('s', 5)).toString()).toBe('');
        // Where it is refused, the owner tells its streams anew, from where the engine says.
        const again = answer.isHeld ? owner : new Instance(owner.relay, 'again');
        await again.tell({ registers: !answer.isHeld });
        expect((await again.opens('s')).lengths.get('s')).toBeGreaterThanOrEqual(5);
        await again.writes('s', 5, ' is ');
        await again.writes('s', 9, 'late');
        expect((await other.reads('s', 0)).toString()).toBe('hello is late');
      });

      it('returns the stored length of a stream that is opened again', async () => {
        expect((await owner.opens('s')).lengths.get('s')).toBe(0);
        await owner.writes('s', 0, 'hello');
        await owner.writes('s', 5, ' world');
        expect((await owner.opens('s')).lengths.get('s')).toBe(11);
        expect((await owner.opens('t', 'with this')).lengths.get('t')).toBe(9);
      });

      it('accepts openings, parts and states of several streams at once', async () => {
        const ids = Array.from({ length: 50 }, (_, index) => `s${index}`);
        const bytes = (id: string): Uint8Array => Buffer.from(`body of ${id}`);
        await owner.tell({
          openings: ids.map((streamId) => ({
            streamId,
            head: `head of ${streamId}`,
            startedAtMs: 1,
          })),
          states: ids.map((streamId) => stateOf(streamId)),
          parts: ids.map((streamId) => ({ streamId, at: 0, body: bytes(streamId) })),
        });
        const tails = await other.relay.read(
          ids.map((streamId) => ({ streamId, offset: 8 })),
          { maxBytes: 1_000, withHeld: false },
        );
        expect(tails.map((tail) => String(tail && Buffer.from(tail.body)))).toEqual(ids);
        expect((await other.relay.find({ streamId: 's17' }))?.head).toBe('head of s17');
      });

      it('accepts nothing from an instance that never registered', async () => {
        const stranger = new Instance(engine.connect(), 'stranger');
        const answer = await stranger.opens('s', 'hello');
        expect(answer.isHeld).toBe(false);
        expect(await other.relay.find({ streamId: 's' })).toBeUndefined();
      });

      it('changes nothing of a stream that another instance owns', async () => {
        await owner.opens('s', 'hello');
        await other.tell({
          parts: [{ streamId: 's', at: 5, body: Buffer.from(' forged') }],
          states: [{ ...stateOf('s'), end: END }],
          settled: ['s'],
        });
        expect((await other.reads('s', 0)).toString()).toBe('hello');
        expect((await other.relay.find({ streamId: 's' }))?.end).toBeNull();
      });

      it('treats ids and texts with syntax of the engine as plain data', async () => {
        const ids = [
          "a'; DROP TABLE x; --",
          '{a}:b',
          '*',
          'a b\r\nDEL x',
          '__proto__',
          'ä€😀',
          '$1',
        ];
        const hostile = (id: string): string => `\0 ${id} ' " \\ {} \r\n]] .. x`;
        for (const streamId of ids) {
          await owner.tell({
            openings: [{ streamId, head: `{"head":${JSON.stringify(streamId)}}`, startedAtMs: 1 }],
            states: [{ ...stateOf(streamId), conversationId: hostile(streamId) }],
            parts: [{ streamId, at: 0, body: Buffer.from(hostile(streamId)) }],
          });
        }
        for (const id of ids) {
          expect((await other.reads(id, 0)).toString()).toBe(hostile(id));
          const record = await other.relay.find({ conversationId: hostile(id) });
          expect(record?.streamId).toBe(id);
          expect(record?.head).toBe(`{"head":${JSON.stringify(id)}}`);
        }
        expect(await other.relay.purge(hostile('*'))).toBe(1);
        expect((await other.reads('{a}:b', 0)).length).toBeGreaterThan(0);
      });

      it('orders streams, but not leases, by the clocks of instances', async () => {
        const starts = [0, 4_102_444_800_000, 8.64e15];
        for (const [n, startedAtMs] of starts.entries()) {
          await owner.tell({
            openings: [{ streamId: `s${n}`, head: '{}', startedAtMs }],
            states: [{ ...stateOf(`s${n}`), conversationId: 'c' }],
          });
        }
        expect((await other.relay.find({ conversationId: 'c' }))?.streamId).toBe('s2');
        vi.useFakeTimers({ toFake: ['Date'], now: 4_102_444_800_000 });
        onTestFinished(() => void vi.useRealTimers());
        expect((await other.tell({})).hasExpired).toBe(false);
        expect((await owner.tell({})).isHeld).toBe(true);
        expect(await other.relay.claim(other.name, RETAIN_MS)).toEqual([]);
      });

      it('returns to an instance which of its streams others follow', async () => {
        await owner.opens('s');
        await other.tell({ following: ['s', 'unknown'] });
        expect((await owner.tell({})).followed).toContain('s');
        await other.tell({ following: [] });
        expect((await owner.tell({})).followed).toEqual([]);
      });
    });

    describe('read', () => {
      it('returns held bytes only to callers that ask for them', async () => {
        await owner.opens('s');
        await owner.tell({
          parts: [{ streamId: 's', at: 0, body: Buffer.from('hello done') }],
          states: [{ ...stateOf('s'), heldFrom: 6 }],
        });
        expect((await other.reads('s', 0)).toString()).toBe('hello ');
        expect((await other.reads('s', 6)).toString()).toBe('');
        expect((await other.reads('s', 8)).toString()).toBe('');
        const held = { maxBytes: 1_000, withHeld: true };
        const [tail] = await other.relay.read([{ streamId: 's', offset: 0 }], held);
        expect(Buffer.from(tail?.body ?? []).toString()).toBe('hello done');
        await owner.tell({ states: [stateOf('s')] });
        expect((await other.reads('s', 6)).toString()).toBe('done');
      });

      it('returns at most maxBytes, and continues from there', async () => {
        await owner.opens('s');
        for (let at = 0; at < 100; at += 10) await owner.writes('s', at, '0123456789');
        let seen = '';
        for (let turn = 0; turn < 100 && seen.length < 100; turn += 1) {
          const position = { streamId: 's', offset: seen.length };
          const [tail] = await other.relay.read([position], { maxBytes: 25, withHeld: false });
          expect(tail?.body.length).toBeGreaterThan(0);
          expect(tail?.body.length).toBeLessThanOrEqual(25);
          seen += Buffer.from(tail?.body ?? []).toString();
        }
        expect(seen).toBe('0123456789'.repeat(10));
      });

      it('answers each position in order, repeated and unknown ones included', async () => {
        await owner.opens('s', 'hello');
        const positions = ['s', 'nobody', 's'].map((streamId) => ({ streamId, offset: 1 }));
        const tails = await other.relay.read(positions, { maxBytes: 100, withHeld: false });
        const texts = tails.map((tail) => tail && Buffer.from(tail.body).toString());
        expect(texts).toEqual(['ello', undefined, 'ello']);
        expect(await other.relay.read([], { maxBytes: 100, withHeld: false })).toEqual([]);
      });

      it.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60])(
        'refuses an invalid offset: %s',
        async (offset) => {
          await owner.opens('s', 'hello');
          await expect(other.reads('s', offset)).rejects.toBeInstanceOf(RangeError);
          expect((await other.reads('s', Number.MAX_SAFE_INTEGER)).length).toBe(0);
          expect((await other.reads('s', 4)).toString()).toBe('o');
        },
      );

      it.each(['', 'nobody', '\0', 'half \ud800', 'very long'])(
        'finds no stream by an unknown id: %j',
        async (id) => {
          const streamId = id === 'very long' ? id.repeat(5_000) : id;
          await owner.opens('s', 'hello');
          expect(await other.relay.read([{ streamId, offset: 0 }], ANY)).toEqual([undefined]);
          expect(await other.relay.find({ streamId })).toBeUndefined();
          expect(await other.relay.command(streamId)).toBe(false);
          expect(await other.relay.purge(streamId)).toBe(0);
          expect((await other.reads('s', 0)).toString()).toBe('hello');
        },
      );

      it('returns the end with the body', async () => {
        await owner.opens('s', 'hello');
        const reading = { maxBytes: 100, withHeld: false };
        const position = { streamId: 's', offset: 0 };
        expect((await other.relay.read([position], reading))[0]?.end).toBeNull();
        await owner.tell({ states: [{ ...stateOf('s'), end: END }] });
        expect((await other.relay.read([position], reading))[0]?.end).toEqual(END);
      });
    });

    describe('find', () => {
      it('finds a stream by its id, live and after its end', async () => {
        await owner.opens('s');
        await owner.tell({ states: [{ ...stateOf('s'), conversationId: 'c' }] });
        const expected = { streamId: 's', conversationId: 'c', head: 'head of s', end: null };
        expect(await other.relay.find({ streamId: 's' })).toEqual(expected);
        await owner.tell({ states: [{ ...stateOf('s'), conversationId: 'c', end: END }] });
        expect(await other.relay.find({ streamId: 's' })).toEqual({ ...expected, end: END });
        expect(await other.relay.find({ streamId: 'S' })).toBeUndefined();
      });

      it('finds the newest stream of a conversation that has no end', async () => {
        const found = async (): Promise<string | undefined> =>
          (await other.relay.find({ conversationId: 'c' }))?.streamId;
        expect(await found()).toBeUndefined();
        for (const [startedAtMs, streamId] of [
          [20, 'newer'],
          [10, 'older'],
        ] as const) {
          await owner.tell({
            openings: [{ streamId, head: '{}', startedAtMs }],
            states: [{ ...stateOf(streamId), conversationId: 'c' }],
          });
        }
        expect(await found()).toBe('newer');
        await owner.tell({ states: [{ ...stateOf('newer'), conversationId: 'c', end: END }] });
        expect(await found()).toBe('older');
      });

      it('does not find a stream after its retention, and purge deletes it once it is settled', async () => {
        await owner.opens('s', 'hello');
        await owner.opens('live', 'hello');
        await owner.tell({ states: [{ ...stateOf('s'), end: END }] });
        await engine.forget();
        expect(await other.relay.find({ streamId: 's' })).toBeUndefined();
        expect(await other.relay.purge()).toBe(0);
        await owner.tell({ settled: ['s'] });
        expect(await other.relay.purge()).toBe(1);
        expect(await other.relay.purge()).toBe(0);
        expect((await other.reads('live', 0)).toString()).toBe('hello');
      });

      it('returns a body after its retention only to callers that ask for held bytes, until it is purged', async () => {
        await owner.opens('s', 'hello');
        await owner.tell({ states: [{ ...stateOf('s'), heldFrom: 2, end: END }] });
        await engine.forget();
        const position = { streamId: 's', offset: 1 };
        const held = { maxBytes: 1_000, withHeld: true };
        expect(await other.relay.read([position], ANY)).toEqual([undefined]);
        const [tail] = await other.relay.read([position], held);
        expect(Buffer.from(tail?.body ?? []).toString()).toBe('ello');
        await owner.tell({ settled: ['s'] });
        await other.relay.purge();
        expect(await other.relay.read([position], held)).toEqual([undefined]);
      });

      it('does not find a conversation that is purged', async () => {
        await owner.opens('s', 'hello');
        await owner.opens('t', 'hello');
        await owner.tell({ states: [{ ...stateOf('s'), conversationId: 'c' }] });
        expect(await other.relay.purge('c')).toBe(1);
        expect(await other.relay.find({ streamId: 's' })).toBeUndefined();
        expect(await other.relay.read([{ streamId: 's', offset: 0 }], ANY)).toEqual([undefined]);
        expect(await other.relay.find({ streamId: 't' })).toBeDefined();
      });
    });

    describe('command', () => {
      it('reaches the owner, and is returned until the stream has an end', async () => {
        await owner.opens('s');
        expect(await other.relay.command('s')).toBe(true);
        expect((await other.tell({})).stops).toEqual([]);
        expect((await owner.tell({})).stops).toEqual(['s']);
        expect((await owner.tell({})).stops).toEqual(['s']);
        const stopped = { ...END, outcome: 'stopped' };
        const answer = await owner.tell({ states: [{ ...stateOf('s'), end: stopped }] });
        expect(answer.stops).toEqual([]);
        expect((await owner.tell({})).stops).toEqual([]);
      });

      it('is refused for a stream that is unknown or has an end', async () => {
        await owner.opens('s');
        await owner.tell({ states: [{ ...stateOf('s'), end: END }] });
        expect(await other.relay.command('s')).toBe(false);
        expect(await other.relay.command('nobody')).toBe(false);
      });
    });

    describe('a faulty engine', () => {
      it('rejects exchanges in time, and has lost nothing when it works again', async () => {
        await owner.opens('s', 'hello');
        let expected = 'hello';
        for (const { name, begin, end } of engine.faults) {
          await begin();
          try {
            const told = owner.writes('s', expected.length, ` ${name}`);
            await expect(told, name).rejects.toBeInstanceOf(Error);
          } finally {
            await end();
          }
          // Nobody knows whether it was carried out.
          const answer = await afterFault(() =>
            owner.writes('s', expected.length, ` ${name} is over`),
          );
          expect(answer.isHeld).toBe(true);
          expected += ` ${name} is over`;
          expect((await other.reads('s', 0)).toString()).toBe(expected);
        }
      }, 60_000);
    });

    describe('claim', () => {
      it('returns nothing while every lease is held', async () => {
        await owner.opens('s', 'hello');
        expect((await other.tell({})).hasExpired).toBe(false);
        expect(await other.relay.claim(other.name, RETAIN_MS)).toEqual([]);
      });

      it('returns the streams of an instance whose lease has expired, to one claimant', async () => {
        await owner.opens('s', 'hello');
        await owner.opens('t');
        await owner.tell({ states: [{ ...stateOf('t'), ending: '{"text":1}', end: END }] });
        await engine.expire(owner.name);
        const third = new Instance(engine.connect(), 'third');
        await third.tell({ registers: true });
        expect((await other.tell({})).hasExpired).toBe(true);
        const claims = await Promise.all(
          [other, third, other, third].map((one) => one.relay.claim(one.name, RETAIN_MS)),
        );
        expect(claims.flat().toSorted((a, b) => a.streamId.localeCompare(b.streamId))).toEqual([
          { streamId: 's', head: 'head of s', ending: null },
          { streamId: 't', head: 'head of t', ending: '{"text":1}' },
        ]);
        expect((await other.tell({})).hasExpired).toBe(false);
      });

      it('returns no stream whose message is in the store, and ends it as broken', async () => {
        await owner.opens('s', 'hello');
        await owner.tell({ settled: ['s'] });
        await engine.expire(owner.name);
        expect(await other.relay.claim(other.name, RETAIN_MS)).toEqual([]);
        expect((await other.relay.find({ streamId: 's' }))?.end).toMatchObject({
          isTidy: false,
          length: 5,
        });
      });

      it('returns nothing to an instance without a lease', async () => {
        await owner.opens('s', 'hello');
        await engine.expire(owner.name);
        await engine.expire(other.name);
        const third = new Instance(engine.connect(), 'third');
        expect(await third.relay.claim(third.name, RETAIN_MS)).toEqual([]);
        expect(await other.relay.claim(other.name, RETAIN_MS)).toEqual([]);
      });

      it('takes the lease and the streams from the first owner', async () => {
        await owner.opens('s', 'hello');
        await engine.expire(owner.name);
        await other.relay.claim(other.name, RETAIN_MS);
        const late = await owner.writes('s', 5, ' again');
        expect(late.isHeld).toBe(false);
        expect((await other.reads('s', 0)).toString()).toBe('hello');
        await owner.relay.settled(owner.name, ['s'], RETAIN_MS);
        expect((await other.relay.find({ streamId: 's' }))?.end).toBeNull();
      });

      it('is undone by an owner that registers again, whatever the claimant settles then', async () => {
        await owner.opens('s', 'hello');
        await engine.expire(owner.name);
        await other.relay.claim(other.name, RETAIN_MS);
        const again = new Instance(engine.connect(), 'again');
        await again.tell({ registers: true });
        expect((await again.opens('s')).lengths.get('s')).toBe(5);
        await again.writes('s', 5, ' again');
        await other.relay.settled(other.name, ['s'], RETAIN_MS);
        expect((await other.relay.find({ streamId: 's' }))?.end).toBeNull();
        expect((await other.reads('s', 0)).toString()).toBe('hello again');
      });

      it('passes to the next instance when the claimant dies as well', async () => {
        await owner.opens('s', 'hello');
        await engine.expire(owner.name);
        expect(await other.relay.claim(other.name, RETAIN_MS)).toHaveLength(1);
        await engine.expire(other.name);
        const third = new Instance(engine.connect(), 'third');
        await third.tell({ registers: true });
        expect(await third.relay.claim(third.name, RETAIN_MS)).toHaveLength(1);
      });

      it('returns unsettled claimed streams again if the claimant asks for a repeated result', async () => {
        await other.opens('own', 'hello');
        for (const id of ['s', 't']) await owner.opens(id, 'hello');
        await engine.expire(owner.name);
        const first = await other.relay.claim(other.name, RETAIN_MS);
        expect(first).toHaveLength(2);
        await other.relay.settled(other.name, ['t'], RETAIN_MS);
        expect(await other.relay.claim(other.name, RETAIN_MS)).toEqual([]);
        const second = await other.relay.claim(other.name, RETAIN_MS, true);
        expect(second).toEqual(first.filter(({ streamId }) => streamId === 's'));
      });

      it('returns no claimed stream to a claimant whose lease has expired', async () => {
        await owner.opens('s', 'hello');
        await engine.expire(owner.name);
        expect(await other.relay.claim(other.name, RETAIN_MS)).toHaveLength(1);
        await engine.expire(other.name);
        expect(await other.relay.claim(other.name, RETAIN_MS, true)).toEqual([]);
      });

      it('returns the claimed streams of a dead claimant together with its own', async () => {
        await owner.opens('s', 'hello');
        await engine.expire(owner.name);
        await other.relay.claim(other.name, RETAIN_MS);
        await other.opens('t', 'hello');
        const third = new Instance(engine.connect(), 'third');
        await third.tell({ registers: true });
        await engine.expire(other.name);
        const claims = await third.relay.claim(third.name, RETAIN_MS, true);
        expect(claims.map(({ streamId }) => streamId).toSorted()).toEqual(['s', 't']);
        expect(await third.relay.claim(third.name, RETAIN_MS)).toEqual([]);
      });

      it('is possible at once when an instance gives its lease back', async () => {
        await owner.opens('s', 'hello');
        await owner.tell({ leaseMs: 0 });
        expect((await other.tell({})).hasExpired).toBe(true);
        expect(await other.relay.claim(other.name, RETAIN_MS)).toHaveLength(1);
      });

      it('ends a stream as broken when its message is in the store, unless it has an end', async () => {
        await owner.opens('s', 'hello');
        await owner.opens('t', 'hello');
        await owner.tell({ states: [{ ...stateOf('t'), end: END }] });
        await engine.expire(owner.name);
        await other.relay.claim(other.name, RETAIN_MS);
        await other.relay.settled(other.name, ['s', 't'], RETAIN_MS);
        const broken = { isTidy: false, length: 5, outcome: 'interrupted', save: null };
        expect((await other.relay.find({ streamId: 's' }))?.end).toEqual(broken);
        expect((await other.relay.find({ streamId: 't' }))?.end).toEqual(END);
        await engine.forget();
        expect(await other.relay.purge()).toBe(2);
      });
    });
  });
}

/** The first calls after a fault may still find a connection broken. */
async function afterFault<T>(call: () => Promise<T>): Promise<T> {
  for (let turn = 0; ; turn += 1) {
    try {
      return await call();
    } catch (error) {
      if (turn === 20) throw error;
    }
  }
}

const ANY = { maxBytes: 1_000_000, withHeld: false };

/** One instance, by a name of its own in each test. */
class Instance {
  readonly relay: Relay;
  readonly name: string;

  constructor(relay: Relay, name: string) {
    this.relay = relay;
    this.name = `${name}-${randomUUID()}`;
  }

  /** One exchange; what is left out is nothing. */
  tell(given: Partial<RelayBatch>): Promise<RelayAnswer> {
    return this.relay.exchange({
      ...EMPTY_BATCH,
      instance: this.name,
      leaseMs: LEASE_MS,
      retainMs: RETAIN_MS,
      ...given,
    });
  }

  opens(streamId: string, body = ''): Promise<RelayAnswer> {
    return this.tell({
      openings: [{ streamId, head: `head of ${streamId}`, startedAtMs: 1 }],
      states: [stateOf(streamId)],
      parts: body === '' ? [] : [{ streamId, at: 0, body: Buffer.from(body) }],
    });
  }

  writes(streamId: string, at: number, text: string): Promise<RelayAnswer> {
    return this.tell({ parts: [{ streamId, at, body: Buffer.from(text) }] });
  }

  async reads(streamId: string, offset: number): Promise<Buffer> {
    const [tail] = await this.relay.read([{ streamId, offset }], ANY);
    return Buffer.from(tail?.body ?? []);
  }
}

function stateOf(streamId: string): RelayState {
  return { streamId, conversationId: null, heldFrom: null, ending: null, end: null };
}
