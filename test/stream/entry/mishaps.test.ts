/** What goes wrong behind the door, in the app's callbacks or in lastchunk itself: it reaches no handler and loses no message. */
import { Registry } from 'prom-client';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk, type GuardOptions } from '../../../src/index.ts';
import { prometheus } from '../../../src/telemetry/prometheus.ts';
import { coded } from '../../support/errors.ts';
import { chatChunk } from '../../support/frames.ts';
import { createKept, type Kept } from '../../support/kept.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { parseScrape } from '../../support/scrape.ts';
import { serve } from '../../support/site.ts';
import { visit } from '../../support/visitor.ts';

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
    ['gives a conversation that is no string', () => ({ conversationId: { a: 1 } })],
  ])('that %s loses no message; it is counted, and said once per route', async (_, message) => {
    const kept = createKept();
    const options = { route: '/r', message } as GuardOptions;
    for (let count = 0; count < 3; count += 1) await ask(kept, options);
    await kept.witness.ended(3);
    expect(kept.store.rows.size).toBe(3);
    for (const row of kept.store.rows.values()) {
      expect(row).toMatchObject({ conversationId: null, text: 'hello', complete: true });
      expect(row.role).toBe('assistant');
    }
    expect(kept.witness.internalErrors.map(({ where }) => where)).toEqual(Array(3).fill('message'));
    const loud = kept.logbook.lines.filter(({ level }) => level === 'error' || level === 'warn');
    expect(loud).toHaveLength(1);
  });

  it('without an id gets a UUIDv7 for it', async () => {
    const kept = createKept();
    await ask(kept, { message: () => ({ conversationId: 'c', role: 'tool', metadata: { a: 1 } }) });
    await kept.witness.ended();
    expect(kept.store.row.id).toMatch(UUID_V7);
    expect(kept.store.row.streamId).toMatch(UUID_V7);
    expect(kept.store.row).toMatchObject({ role: 'tool', metadata: { a: 1 }, conversationId: 'c' });
    expect(kept.witness.internalErrors).toEqual([]);
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
  ])('with metadata that JSON does not hold loses no message: %s', async (_, metadata) => {
    const kept = createKept();
    await ask(kept, { message: () => ({ conversationId: 'c', metadata }) });
    expect(await kept.witness.ended()).toMatchObject({ save: 'saved' });
    expect(kept.store.row).toMatchObject({ text: 'hello', complete: true });
  });
});

describe('a second guard on one response', () => {
  it('changes nothing, and that is said once', async () => {
    const kept = createKept();
    const outer = kept.keep.guard({ message: () => ({ conversationId: 'outer' }) });
    const inner = kept.keep.guard({ message: () => ({ conversationId: 'inner' }) });
    const site = await serve((req, res) => {
      void outer(req, res, () => void inner(req, res, () => answer(res)));
    });
    for (let count = 1; count <= 2; count += 1) {
      const reply = await (await visit(site, '/')).over();
      expect(reply.headers['x-message-id']).toBeDefined();
      await kept.witness.ended(count);
    }
    expect([...kept.store.rows.values()]).toMatchObject([
      { conversationId: 'outer', text: 'hello' },
      { conversationId: 'outer', text: 'hello' },
    ]);
    expect(kept.witness.starts).toBe(2);
    expect(kept.logbook.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  it('under observe() is the stream that observe() saw', async () => {
    const kept = createKept();
    const observe = kept.keep.observe();
    const guard = kept.keep.guard({});
    const site = await serve((req, res) => {
      void observe(req, res, () => void guard(req, res, () => answer(res)));
    });
    await (await visit(site, '/')).over();
    await kept.witness.ended();
    expect(kept.witness.starts).toBe(1);
    expect(kept.store.row.text).toBe('hello');
  });
});

it("another version's stream of the same response, whatever it is made of, is not taken for ours", async () => {
  const kept = createKept();
  const guard = kept.keep.guard({});
  const site = await serve((req, res) => {
    const global = globalThis as { [key: symbol]: WeakMap<object, object> | undefined };
    for (const name of ['lastchunk.streams', 'lastchunk.streams@0.0.1']) {
      const places = (global[Symbol.for(name)] ??= new WeakMap());
      places.set(res, { guarded: true, kind: 'undecided', hooks: {} });
    }
    void guard(req, res, () => answer(res));
  });
  expect((await (await visit(site, '/')).over()).whole).toBe(true);
  expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
  expect(kept.store.row.text).toBe('hello');
});

describe('what goes wrong inside', () => {
  it('is a message that the store refuses: lost without a journal, at once, and loudly', async () => {
    const kept = createKept();
    kept.store.fail(coded('invalid byte sequence', '22021'));
    const reply = await ask(kept, {});
    expect(reply.whole).toBe(true);
    expect(await kept.witness.ended()).toMatchObject({ save: 'lost', outcome: 'completed' });
    expect(kept.witness.saves).toMatchObject([{ result: 'lost', errorType: '22021' }]);
    expect(kept.logbook.errors().join(' ')).toContain('22021');
    expect(kept.logbook.errors().join(' ')).not.toContain('hello');
  });

  it('is an observer that throws: counted, and nobody else is hurt', async () => {
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
    const site = await serve((req, res) => void guard(req, res));
    expect((await (await visit(site, '/')).over()).whole).toBe(true);
    await keep.flush();
    expect(store.row.text).toBe('hello');
    const scrape = parseScrape(await metrics.registry.metrics());
    expect(scrape.sum('lastchunk_internal_errors_total', { where: 'observer' })).toBe(names.length);
    expect(scrape.sum('lastchunk_streams_ended_total', { outcome: 'completed' })).toBe(1);
  });

  it('is a stream() that throws: decided as without it', async () => {
    const kept = createKept();
    const reply = await ask(kept, {
      stream: () => {
        throw new Error('no');
      },
    });
    expect(reply.whole).toBe(true);
    await kept.witness.ended();
    expect(kept.store.row.text).toBe('hello');
    expect(kept.witness.internalErrors).toHaveLength(1);
  });

  it('is a format that throws: the body is kept, and it is counted', async () => {
    const kept = createKept();
    const boom = (): never => {
      throw new Error('no');
    };
    const reply = await ask(kept, {
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
    expect(await kept.witness.ended()).toMatchObject({ save: 'saved' });
    expect(kept.store.rows.size).toBe(1);
    expect(new Set(kept.witness.internalErrors.map(({ where }) => where))).toEqual(
      new Set(['format']),
    );
  });
});

it('observes without a store', async () => {
  const kept = createKept({});
  const keep = lastchunk({ observer: kept.witness.observer });
  onTestFinished(async () => void (await keep.close()));
  const guard = keep.observe();
  const site = await serve((req, res) => void guard(req, res, () => answer(res)));
  expect((await (await visit(site, '/')).over()).whole).toBe(true);
  expect(await kept.witness.ended()).toMatchObject({ outcome: 'completed', save: undefined });
});

async function ask(kept: Kept, options: GuardOptions) {
  const guard = kept.keep.guard(options, (_, res) => answer(res));
  const site = await serve((req, res) => void guard(req, res));
  return (await visit(site, '/')).over();
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
