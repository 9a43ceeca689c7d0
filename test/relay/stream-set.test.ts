import { describe, expect, it } from 'vitest';
import { StreamSet } from '../../src/relay/stream-set.ts';
import type { RelayAnswer } from '../../src/relay/port.ts';
import { createSource, END } from './fake-source.ts';

const MIB = 1_048_576;

/** The engine takes everything, of streams of which it has nothing. */
const ANSWER: RelayAnswer = {
  isHeld: true,
  lengths: new Map(),
  stops: [],
  followed: [],
  hasExpired: false,
};

/** A set with a stream for each id, in that order. */
function createSet(...ids: string[]) {
  const set = new StreamSet();
  const sources = ids.map((id) => createSource(id));
  const streams = sources.map((source) => set.add(source));
  const exchange = () => {
    const taken = set.take();
    set.confirm(taken, ANSWER);
    return {
      opened: [...taken.shares.values()].flatMap(({ opening }) => opening?.streamId ?? []),
      settled: taken.settled,
    };
  };
  return { set, sources, streams, exchange };
}

describe('a message that is in the store', () => {
  it('is reported as settled together with the opening of its stream, and not before', () => {
    const { set, sources, exchange } = createSet('a', 'b', 'c', 'd', 'e', 'f', 'late');
    // More than one exchange takes, so that the last stream waits for its turn.
    for (const { body } of sources) body.pieces.push('x'.repeat(MIB));
    set.settle('late');
    const told: unknown[] = [];
    while (set.hasNews) told.push(exchange());
    const first = told.findIndex((one) => JSON.stringify(one).includes('late'));
    expect(first).toBeGreaterThan(0);
    expect(told[first]).toMatchObject({
      opened: expect.arrayContaining(['late']),
      settled: ['late'],
    });
    expect(told.filter((one) => JSON.stringify(one).includes('late'))).toHaveLength(1);
  });

  it('is reported again when the stream is opened again', () => {
    const { set, exchange } = createSet('s');
    set.settle('s');
    expect(exchange()).toEqual({ opened: ['s'], settled: ['s'] });
    expect(set.hasNews).toBe(false);
    set.reopen();
    expect(exchange()).toEqual({ opened: ['s'], settled: ['s'] });
  });

  it('is reported in an exchange of its own if the engine has everything else', () => {
    const { set, sources, exchange } = createSet('s');
    if (sources[0] !== undefined) sources[0].end = { ...END, save: 'journaled' };
    expect(exchange()).toEqual({ opened: ['s'], settled: [] });
    expect(set.size).toBe(0);
    set.settle('s');
    expect(exchange()).toEqual({ opened: [], settled: ['s'] });
    expect(set.hasNews).toBe(false);
  });

  it.each(['empty', 'discarded'])('is not waited for if none is due: %s', (save) => {
    const { set, sources, exchange } = createSet('s');
    if (sources[0] !== undefined) sources[0].end = { ...END, save };
    expect(exchange()).toEqual({ opened: ['s'], settled: ['s'] });
    expect(set.hasNews).toBe(false);
  });
});

describe('a caller that waits until the engine has a stream', () => {
  it('gets false if its body has left memory before that', () => {
    const { set, sources, streams, exchange } = createSet('s');
    const [source, stream] = [sources[0], streams[0]];
    if (source === undefined || stream === undefined) throw new Error('there is one');
    source.body.pieces.push('text');
    exchange();
    Object.assign(source, { isWhole: false, isExact: false, end: END });
    const told: boolean[] = [];
    stream.waiters.push((isThere) => told.push(isThere));
    exchange();
    exchange();
    expect(told).toEqual([false]);
    expect(set.isAsked).toBe(false);
  });

  it('gets true if the engine already has all of it', () => {
    const { streams, exchange } = createSet('s');
    exchange();
    const told: boolean[] = [];
    streams[0]?.waiters.push((isThere) => told.push(isThere));
    exchange();
    expect(told).toEqual([true]);
  });
});

describe('while the engine is unavailable', () => {
  it('the bodies of ended streams are kept up to a bound, and the oldest are dropped and counted', () => {
    const ids = Array.from({ length: 80 }, (_, index) => `s${index}`);
    const { set, sources } = createSet('live', ...ids);
    const piece = 'x'.repeat(MIB);
    for (const source of sources) source.body.pieces.push(piece);
    expect(set.dropOldest()).toBe(false);
    for (const source of sources.slice(1)) source.end = END;
    expect(set.endedBytes).toBe(80 * MIB);
    expect(set.dropOldest()).toBe(true);
    expect(set.endedBytes).toBe(64 * MIB);
    expect(set.dropped).toBe(16);
    expect(set.get('s15')).toBeUndefined();
    expect(set.get('s16')).toBeDefined();
    expect(set.get('live')).toBeDefined();
    expect(set.dropOldest()).toBe(false);
    expect(set.dropped).toBe(16);
  });
});
