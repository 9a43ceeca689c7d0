/** What goes wrong behind the door, in the app's callbacks or in lastchunk itself: it reaches no handler and loses no message. */
import { Registry } from 'prom-client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk, type GuardOptions } from '../../../src/index.ts';
import { prometheus } from '../../../src/telemetry/prometheus.ts';
import { coded } from '../../support/errors.ts';
import { chatChunk } from '../../support/frames.ts';
import { createInMemoryInstance, type InMemoryInstance } from '../../support/in-memory-instance.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { parseScrape } from '../../support/scrape.ts';
import { serve } from '../../support/test-server.ts';
import { openClient } from '../../support/http-client.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe('message()', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;

  it.each<readonly [string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('no such user');
      },
    ],
    ['returns a promise', () => Promise.resolve({ conversationId: 'c' })],
    ['returns a promise that rejects', () => Promise.reject(new Error('no such user'))],
    ['names no conversation', () => ({ role: 'assistant' })],
    ['returns nothing', () => undefined],
    ['returns null', () => null],
    ['returns a number', () => 42],
    ['returns a conversation id that is not a string', () => ({ conversationId: { a: 1 } })],
  ])('that %s loses no message; it is counted, and logged once per route', async (_, message) => {
    const instance = createInMemoryInstance();
    const options = { route: '/r', message } as GuardOptions;
    for (let count = 0; count < 3; count += 1) await ask(instance, options);
    await instance.recorded.ended(3);
    expect(instance.store.rows.size).toBe(3);
    for (const row of instance.store.rows.values()) {
      expect(row).toMatchObject({ conversationId: null, text: 'hello', complete: true });
      expect(row.role).toBe('assistant');
    }
    expect(instance.recorded.unnamed).toHaveLength(3);
    expect(instance.recorded.internalErrors).toEqual([]);
    const loud = instance.logbook.lines.filter(
      ({ level }) => level === 'error' || level === 'warn',
    );
    expect(loud).toHaveLength(1);
  });

  it('that returns no id gets a UUIDv7 for it', async () => {
    const instance = createInMemoryInstance();
    await ask(instance, {
      message: () => ({ conversationId: 'c', role: 'tool', metadata: { a: 1 } }),
    });
    await instance.recorded.ended();
    expect(instance.store.row.id).toMatch(UUID_V7);
    expect(instance.store.row.streamId).toMatch(UUID_V7);
    expect(instance.store.row).toMatchObject({
      role: 'tool',
      metadata: { a: 1 },
      conversationId: 'c',
    });
    expect(instance.recorded.internalErrors).toEqual([]);
  });

  it.each([
    ['a cycle', cyclic],
    ['a bigint', { tokens: 10n }],
    [
      'a getter that throws',
      {
        get tokens(): number {
          throw new Error('no');
        },
      },
    ],
  ])('that returns metadata which JSON cannot hold loses no message: %s', async (_, metadata) => {
    const instance = createInMemoryInstance();
    await ask(instance, { message: () => ({ conversationId: 'c', metadata }) });
    expect(await instance.recorded.ended()).toMatchObject({ save: 'saved' });
    expect(instance.store.row).toMatchObject({ text: 'hello', complete: true });
  });
});

describe('a second guard on one response', () => {
  it('changes nothing, and is logged once', async () => {
    const instance = createInMemoryInstance();
    const outer = instance.keep.guard({ message: () => ({ conversationId: 'outer' }) });
    const inner = instance.keep.guard({ message: () => ({ conversationId: 'inner' }) });
    const testServer = await serve((req, res) => {
      void outer(req, res, () => void inner(req, res, () => answer(res)));
    });
    for (let count = 1; count <= 2; count += 1) {
      const reply = await (await openClient(testServer, '/')).over();
      expect(reply.headers['x-message-id']).toBeDefined();
      await instance.recorded.ended(count);
    }
    expect([...instance.store.rows.values()]).toMatchObject([
      { conversationId: 'outer', text: 'hello' },
      { conversationId: 'outer', text: 'hello' },
    ]);
    expect(instance.recorded.starts).toBe(2);
    expect(instance.logbook.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('behind observe() uses the stream that observe() has begun', async () => {
    const instance = createInMemoryInstance();
    const observe = instance.keep.observe();
    const guard = instance.keep.guard({});
    const testServer = await serve((req, res) => {
      void observe(req, res, () => void guard(req, res, () => answer(res)));
    });
    await (await openClient(testServer, '/')).over();
    await instance.recorded.ended();
    expect(instance.recorded.starts).toBe(1);
    expect(instance.store.row.text).toBe('hello');
  });
});

it('a stream that another version has attached to the response is not used', async () => {
  const instance = createInMemoryInstance();
  const guard = instance.keep.guard({});
  const testServer = await serve((req, res) => {
    const global = globalThis as { [key: symbol]: WeakMap<object, object> | undefined };
    for (const name of ['lastchunk.streams', 'lastchunk.streams@0.0.1']) {
      const places = (global[Symbol.for(name)] ??= new WeakMap());
      places.set(res, { guarded: true, kind: 'undecided', hooks: {} });
    }
    void guard(req, res, () => answer(res));
  });
  expect((await (await openClient(testServer, '/')).over()).whole).toBe(true);
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
  expect(instance.store.row.text).toBe('hello');
});

describe('an error in a part that the guard calls', () => {
  it('(a store that refuses the message) loses the message without a journal, at once, and is logged', async () => {
    const instance = createInMemoryInstance();
    instance.store.fail(coded('invalid byte sequence', '22021'));
    const reply = await ask(instance, {});
    expect(reply.whole).toBe(true);
    expect(await instance.recorded.ended()).toMatchObject({ save: 'lost', outcome: 'completed' });
    expect(instance.recorded.saves).toMatchObject([{ result: 'lost', errorType: '22021' }]);
    expect(instance.logbook.errors().join(' ')).toContain('22021');
    expect(instance.logbook.errors().join(' ')).not.toContain('hello');
  });

  it('(an observer that throws) is counted, and affects no other part', async () => {
    const metrics = prometheus({ registry: new Registry() });
    const store = createMemoryStore();
    const boom = (): never => {
      throw new Error('observer');
    };
    const names = ['onStart', 'onFirstChunk', 'onDue', 'onMessage', 'onSave', 'onHold', 'onEnd'];
    const observer = Object.fromEntries(names.map((name) => [name, boom]));
    const logger = { debug: boom, info: boom, warn: boom, error: boom };
    const keep = lastchunk({ store, journal: false, metrics, observer, logger });
    onTestFinished(async () => void (await keep.close()));
    const guard = keep.guard({}, (_, res) => answer(res));
    const testServer = await serve((req, res) => void guard(req, res));
    expect((await (await openClient(testServer, '/')).over()).whole).toBe(true);
    await keep.flush();
    expect(store.row.text).toBe('hello');
    const scrape = parseScrape(await metrics.registry.metrics());
    expect(scrape.sum('lastchunk_internal_errors_total', { where: 'observer' })).toBe(names.length);
    expect(scrape.sum('lastchunk_streams_ended_total', { outcome: 'completed' })).toBe(1);
  });

  it('(a stream() that throws) is counted, and the default decides', async () => {
    const instance = createInMemoryInstance();
    const reply = await ask(instance, {
      stream: () => {
        throw new Error('no');
      },
    });
    expect(reply.whole).toBe(true);
    await instance.recorded.ended();
    expect(instance.store.row.text).toBe('hello');
    expect(instance.recorded.internalErrors).toHaveLength(1);
  });

  it('(a format that throws) is counted, and the body is kept', async () => {
    const instance = createInMemoryInstance();
    const boom = (): never => {
      throw new Error('no');
    };
    const reply = await ask(instance, {
      format: {
        name: 'mine',
        framing: 'sse',
        finishMarker: 'accepted',
        terminal: boom,
        text: boom,
        carries: boom,
      },
    });
    expect(reply.whole).toBe(true);
    expect(await instance.recorded.ended()).toMatchObject({ save: 'saved' });
    expect(instance.store.rows.size).toBe(1);
    expect(new Set(instance.recorded.internalErrors.map(({ where }) => where))).toEqual(
      new Set(['format']),
    );
  });
});

it('observe() works without a store', async () => {
  const instance = createInMemoryInstance({});
  const keep = lastchunk({ observer: instance.recorded.observer });
  onTestFinished(async () => void (await keep.close()));
  const guard = keep.observe();
  const testServer = await serve((req, res) => void guard(req, res, () => answer(res)));
  expect((await (await openClient(testServer, '/')).over()).whole).toBe(true);
  expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: undefined });
});

async function ask(instance: InMemoryInstance, options: GuardOptions) {
  const guard = instance.keep.guard(options, (_, res) => answer(res));
  const testServer = await serve((req, res) => void guard(req, res));
  return (await openClient(testServer, '/')).over();
}

function answer(res: {
  setHeader(name: string, value: string): unknown;
  write(chunk: string): unknown;
  end(chunk: string): unknown;
}): void {
  res.setHeader('content-type', 'text/event-stream');
  res.write(chatChunk({ content: 'hello' }));
  res.end(chatChunk({}, 'stop'));
}
