import { describe, expect, it, onTestFinished } from 'vitest';
import { RelayInstance } from '../../src/relay/instance.ts';
import type { Relay, RelayRecord, RelayTask } from '../../src/relay/port.ts';
import { createTestClock } from '../saver/fakes.ts';
import { createMemoryRelay } from '../support/memory-relay.ts';
import { createSource } from './fake-source.ts';

/** An instance whose clock stands, over an engine of which some calls are the test's. */
function createInstance(calls: Partial<Relay> = {}) {
  const relay = createMemoryRelay();
  const clock = createTestClock();
  const errors: { task: RelayTask; message: string }[] = [];
  const engine: Relay = { ...relay.connect(), ...calls };
  let afterExchange = (): void => undefined;
  const settings = { engine, flushMs: 250, leaseMs: 15_000, retainMs: 60_000, ahead: false };
  const instance = new RelayInstance(settings, clock, {
    onExchange: () => afterExchange(),
    onClaimed: () => undefined,
    onStop: () => undefined,
    onUnreadable: () => undefined,
    onGone: () => undefined,
    onLeaseLost: () => undefined,
    onError: (task, error) => errors.push({ task, message: String(error) }),
  });
  instance.start();
  return {
    relay,
    clock,
    instance,
    errors,
    failAfterExchange: (error: Error) => {
      afterExchange = () => {
        throw error;
      };
    },
  };
}

/** Rejections that nobody handles, as long as a test runs. */
function collectUnhandled(): readonly unknown[] {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  return unhandled;
}

describe('the purge of streams after their retention', () => {
  it('runs once a minute, one call at a time, and delays no flush', async () => {
    let calls = 0;
    let answer = (_streams: number): void => undefined;
    const purge = (): Promise<number> => {
      calls += 1;
      return new Promise((resolve) => {
        answer = resolve;
      });
    };
    const { relay, clock, instance } = createInstance({ purge });
    await clock.advance(62_000);
    expect(calls).toBe(1);
    const source = createSource('s');
    instance.open(source);
    source.body.pieces.push('text');
    await clock.advance(500);
    expect(relay.bodyOf('s')).toBe('text');
    await clock.advance(180_000);
    expect(calls).toBe(1);
    answer(0);
    await clock.advance(59_000);
    expect(calls).toBe(1);
    await clock.advance(3_000);
    expect(calls).toBe(2);
  });
});

describe('concurrent look-ups of one stream', () => {
  function createLookups() {
    const asked: { resolve: (record?: RelayRecord) => void; reject: (error: Error) => void }[] = [];
    const find = (): Promise<RelayRecord | undefined> =>
      new Promise((resolve, reject) => asked.push({ resolve, reject }));
    const { instance } = createInstance({ find });
    const look = (streamId: string) => instance.find({ streamId });
    return { asked, look };
  }
  const record: RelayRecord = { streamId: 's', conversationId: null, head: '{}', end: null };

  it('share the query that starts after the running one', async () => {
    const { asked, look } = createLookups();
    const first = look('s');
    const others = Array.from({ length: 199 }, () => look('s'));
    expect(asked).toHaveLength(1);
    asked[0]?.resolve(undefined);
    expect(await first).toBeUndefined();
    await expect.poll(() => asked.length).toBe(2);
    const late = look('s');
    asked[1]?.resolve(record);
    expect(await Promise.all(others)).toEqual(others.map(() => record));
    await expect.poll(() => asked.length).toBe(3);
    asked[2]?.resolve(undefined);
    expect(await late).toBeUndefined();
    void look('s');
    expect(asked).toHaveLength(4);
  });

  it('succeed even if the query before theirs failed', async () => {
    const { asked, look } = createLookups();
    const first = look('s');
    const second = look('s');
    asked[0]?.reject(new Error('away'));
    await expect(first).rejects.toThrow('away');
    await expect.poll(() => asked.length).toBe(2);
    asked[1]?.resolve(record);
    expect(await second).toEqual(record);
  });

  it('do not wait for look-ups of another stream', () => {
    const { asked, look } = createLookups();
    void look('s');
    void look('t');
    expect(asked).toHaveLength(2);
  });
});

describe('a relay whose parts fail', () => {
  it('continues after a failure behind an exchange, which is reported', async () => {
    const unhandled = collectUnhandled();
    const { clock, errors, failAfterExchange, instance, relay } = createInstance();
    failAfterExchange(new Error('a mistake'));
    await clock.advance(5_000);
    expect(errors[0]).toEqual({ task: 'exchange', message: 'Error: a mistake' });
    const before = relay.exchanges.length;
    await clock.advance(5_000);
    expect(relay.exchanges.length).toBeGreaterThan(before);
    const closing = instance.close(1_000);
    await clock.advance(3_000);
    await closing;
    expect(unhandled).toEqual([]);
  });

  it.each(['rejects', 'throws'])('is closed even if its close fails: %s', async (how) => {
    const unhandled = collectUnhandled();
    const close = (): Promise<void> => {
      if (how === 'throws') throw new Error('no');
      return Promise.reject(new Error('no'));
    };
    const { clock, errors, instance } = createInstance({ close });
    await clock.advance(1_000);
    const closing = instance.close(1_000);
    await clock.advance(3_000);
    await closing;
    expect(errors).toEqual([{ task: 'close', message: 'Error: no' }]);
    expect(unhandled).toEqual([]);
  });
});

describe('the lag', () => {
  /** Ten streams, and one more every 250 ms, to each of which something is written during every exchange. Returns the lag. */
  async function runBusy(seconds: number, fails = false): Promise<number> {
    const engine = createMemoryRelay().connect();
    const sources = Array.from({ length: 10 }, (_, n) => createSource(`s${n}`));
    const exchange: Relay['exchange'] = async (batch) => {
      for (const { body } of sources) body.pieces.push('more');
      if (fails) throw new Error('away');
      return engine.exchange(batch);
    };
    const { clock, instance } = createInstance({ ...engine, exchange });
    for (const source of sources) instance.open(source);
    for (let step = 0; step < 4 * seconds; step += 1) {
      const late = createSource(`late${step}`);
      sources.push(late);
      instance.open(late);
      await clock.advance(250);
    }
    return instance.report().lagMs;
  }

  it('is about one flush while every exchange succeeds, however much is written meanwhile', async () => {
    expect(await runBusy(60)).toBeLessThanOrEqual(500);
  });

  it('grows while no exchange succeeds', async () => {
    expect(await runBusy(60, true)).toBeGreaterThanOrEqual(59_000);
  });

  it('grows while more is written than exchanges carry', async () => {
    const { clock, instance } = createInstance();
    const source = createSource('s');
    instance.open(source);
    const large = 'x'.repeat(5_000_000);
    for (let step = 0; step < 80; step += 1) {
      source.body.pieces.push(large, large, large);
      await clock.advance(250);
    }
    expect(instance.report().lagMs).toBeGreaterThanOrEqual(15_000);
  });
});

describe('readers of streams of other instances', () => {
  it('share the byte limit of one read, however many they are', async () => {
    const asked: number[] = [];
    const read: Relay['read'] = async (positions, { maxBytes }) => {
      asked.push(maxBytes * positions.length);
      return positions.map(() => ({ body: new Uint8Array(), end: null }));
    };
    const { clock, instance } = createInstance({ read });
    const sink = { write: () => true, end: () => undefined };
    for (let n = 0; n < 200; n += 1) instance.follow({ streamId: `s${n}`, offset: 0 }, sink);
    await clock.advance(1_000);
    expect(asked.length).toBeGreaterThan(0);
    expect(Math.max(...asked)).toBeLessThanOrEqual(8_388_608);
  });

  it('do not affect each other: one that throws is ended', async () => {
    const ends: string[] = [];
    const read: Relay['read'] = async (positions) =>
      positions.map(() => ({ body: Buffer.from('text'), end: null }));
    const { clock, errors, instance } = createInstance({ read });
    const bad = (): boolean => {
      throw new TypeError('a header that this Node refuses');
    };
    let seen = '';
    instance.follow({ streamId: 'bad', offset: 0 }, { write: bad, end: () => ends.push('bad') });
    instance.follow(
      { streamId: 'good', offset: 0 },
      { write: (body) => Boolean((seen += Buffer.from(body).toString())), end: () => undefined },
    );
    await clock.advance(1_000);
    expect(seen).toContain('text');
    expect(ends).toEqual(['bad']);
    expect(errors[0]?.task).toBe('read');
  });
});
