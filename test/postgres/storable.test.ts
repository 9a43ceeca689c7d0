import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Message } from '../../src/core/message.ts';
import { postgres } from '../../src/postgres/index.ts';
import type { PostgresStore } from '../../src/postgres/index.ts';
import { jsonbText } from '../../src/postgres/json.ts';
import { toRow } from '../../src/postgres/storable.ts';
import { startPostgres } from '../support/postgres.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { aMessage, look } from './messages.ts';

const BAD = '\ufffd';

describe('text', () => {
  it.each([
    ['plain', 'plain', 0],
    ['', '', 0],
    ['é 漢 😀 \u{10ffff} \ufffd \ufeff', 'é 漢 😀 \u{10ffff} \ufffd \ufeff', 0],
    ['a\0b\0', `a${BAD}b${BAD}`, 2],
    ['\ud83d', BAD, 1],
    ['\ude00\ud83d', BAD + BAD, 2],
    ['😀\ud83d\ud83d\ude00\ude00', `😀${BAD}😀${BAD}`, 2],
  ])('%j is stored as %j', (text, stored, replaced) => {
    expect(toRow(aMessage({ text }))).toMatchObject({ content: stored, replaced });
  });

  it('is counted over every field', () => {
    const row = toRow(
      aMessage({
        id: 'i\0',
        conversationId: 'c\0',
        role: 'r\0',
        text: 't\0',
        events: ['e\0', { 'k\0': 1 }],
        metadata: { m: '\ud800' },
      }),
    );
    expect(row.replaced).toBe(7);
  });
});

describe('a key column', () => {
  it('stores 512 bytes', () => {
    const id = 'é'.repeat(256);
    expect(toRow(aMessage({ id }))).toMatchObject({ id, metadata: null });
  });

  it.each([
    ['id', 'id', 'fullId'],
    ['conversationId', 'conversation_id', 'fullConversationId'],
    ['role', 'role', 'fullRole'],
  ] as const)(
    'stores a longer %s cut and hashed, and in full in metadata',
    (field, column, note) => {
      for (const long of ['x'.repeat(513), '😀'.repeat(3_000), `\ufeffé${'漢'.repeat(500)}`]) {
        const row = toRow(aMessage({ [field]: long, metadata: { a: 1 } }));
        const key = row[column] ?? '';
        expect(Buffer.byteLength(key)).toBeLessThanOrEqual(512);
        expect(Buffer.byteLength(key)).toBeGreaterThan(508);
        const [head, hash] = key.split('~');
        expect(long.startsWith(head ?? '?')).toBe(true);
        expect(hash).toBe(createHash('sha256').update(long).digest('hex'));
        expect(JSON.parse(row.metadata ?? '')).toEqual({ a: 1, lastchunk: { [note]: long } });
      }
    },
  );

  it('stores different keys for two long ones with the same beginning', () => {
    const [one, other] = ['a', 'b'].map((end) => toRow(aMessage({ id: 'x'.repeat(600) + end })));
    expect(one?.id).not.toBe(other?.id);
  });
});

describe('metadata', () => {
  const ours = { finishReason: 'stop' };
  const metadataOf = (given: Partial<Message>): unknown =>
    JSON.parse(toRow(aMessage(given)).metadata ?? 'null');

  it('over 64 KiB is dropped with a note, and the fields of lastchunk are kept', () => {
    const fits = { a: 'x'.repeat(65_536 - 8), lastchunk: undefined };
    expect(metadataOf({ metadata: fits })).toEqual({ a: fits.a });
    expect(metadataOf({ metadata: { a: 'x'.repeat(65_536), lastchunk: ours } })).toEqual({
      lastchunk: { ...ours, metadataDroppedBytes: expect.any(Number) },
    });
  });

  it('is dropped in favour of a long id, and both if they exceed the limit', () => {
    const id = 'i'.repeat(40_000);
    expect(metadataOf({ id, metadata: { a: 'x'.repeat(30_000), lastchunk: ours } })).toEqual({
      lastchunk: { ...ours, fullId: id, metadataDroppedBytes: expect.any(Number) },
    });
    expect(metadataOf({ id: id + id, metadata: { lastchunk: ours } })).toEqual({
      lastchunk: { metadataDroppedBytes: expect.any(Number) },
    });
  });
});

describe('JSON for jsonb', () => {
  const circular: Record<string, unknown> = { name: 'c' };
  circular['self'] = circular;
  const shared = { once: 1 };
  const fail = (): never => {
    throw new Error('no');
  };
  const throwing = Object.defineProperty({}, 'value', { get: fail, enumerable: true });
  it.each<[string, unknown, unknown]>([
    ['a function', () => 1, null],
    ['undefined', undefined, null],
    ['NaN and infinity', [NaN, Infinity, 1e308, 5e-324], [null, null, 1e308, 5e-324]],
    ['numbers out of range in a payload', JSON.parse('[1e400, -1e400]'), [null, null]],
    ['a BigInt', { n: 10n ** 400n, kept: 1 }, { n: `1${'0'.repeat(400)}`, kept: 1 }],
    ['dates', [new Date(0), new Date(NaN), 1n], ['1970-01-01T00:00:00.000Z', null, '1']],
    ['a circular object', circular, { name: 'c', self: '[lastchunk: circular]' }],
    ['one object twice', [shared, shared, 1n], [shared, shared, '1']],
    [
      'a getter that throws',
      { bad: throwing, good: 1 },
      { bad: '[lastchunk: unreadable]', good: 1 },
    ],
    [
      'a toJSON that throws',
      {
        bad: { toJSON: fail },
        good: 1,
      },
      { bad: '[lastchunk: unreadable]', good: 1 },
    ],
    ['symbols', { a: Symbol('s'), b: 1n }, { b: '1' }],
    [
      'escapes that only look bad',
      ['\\u0000', '\\\\ud800', '\\', '"'],
      ['\\u0000', '\\\\ud800', '\\', '"'],
    ],
    [
      'a key of the prototype',
      JSON.parse('{"__proto__": "\\u0000"}'),
      JSON.parse('{"__proto__": "\ufffd"}'),
    ],
  ])('replaces or omits %s as jsonb requires', (_, value, stored) => {
    expect(JSON.parse(jsonbText(value).json)).toEqual(stored);
  });

  it('counts what it replaces in values and keys', () => {
    const { json, replaced } = jsonbText({ 'a\0': '\ud800x\udfff', '\\u0000': '\\\0' });
    expect(JSON.parse(json)).toEqual({ [`a${BAD}`]: `${BAD}x${BAD}`, '\\u0000': `\\${BAD}` });
    expect(replaced).toBe(4);
  });

  it('keeps 256 levels of nesting and cuts deeper ones', () => {
    const nest = (levels: number) => '{"a":['.repeat(levels / 2) + ']}'.repeat(levels / 2);
    const brackets = JSON.stringify('[{'.repeat(1_000));
    expect(jsonbText(JSON.parse(nest(256))).json).toBe(nest(256));
    expect(jsonbText(JSON.parse(brackets)).json).toBe(brackets);
    for (const levels of [258, 2_000, 100_000]) {
      const { json } = jsonbText(JSON.parse(nest(levels)));
      expect(json).toContain('nested too deep');
      expect(json.length).toBeLessThan(2_000);
    }
  });
});

describe('stored in PostgreSQL', () => {
  let server: TestPostgres;
  let store: PostgresStore;
  beforeAll(async () => {
    server = await startPostgres();
    store = postgres({
      connectionString: server.connectionString,
      migrate: true,
      // The machine may be slow; what is asked here is whether, not how fast.
      statementTimeoutMs: 60_000,
    });
    await store.save([]);
  }, 60_000);
  afterAll(async () => {
    await store.close();
    await server.remove();
  });

  it('no message is refused, for any content from a client, an app or an upstream', async () => {
    const random = seeded(20_260_102);
    const messages = Array.from({ length: 600 }, (_, index) => anyMessage(random, index));
    for (let at = 0; at < messages.length;) {
      const size = random() < 0.5 ? 1 : 1 + Math.floor(random() * 60);
      await store.save(messages.slice(at, at + size));
      at += size;
    }
    const rows = await look(
      server.connectionString,
      'SELECT stream_id, content, id, conversation_id, role, events IS NULL AS bare FROM lastchunk_messages',
    );
    const byStream = new Map(rows.map((row) => [row['stream_id'], row]));
    expect(byStream.size).toBe(messages.length);
    for (const message of messages) {
      const row = byStream.get(message.streamId);
      expect(row?.['content']).toBe(stored(message.text));
      expect(row?.['bare']).toBe(message.events === null);
      for (const key of ['id', 'conversation_id', 'role']) {
        expect(Buffer.byteLength(String(row?.[key]))).toBeLessThanOrEqual(512);
      }
    }
  });

  it('thousands of pieces with Unicode at the end are stored byte for byte', async () => {
    const text = Array.from({ length: 4_000 }, (_, index) => `δ${index} `).join('') + '👩‍👩‍👧‍👦é';
    const message = aMessage({ text });
    await store.save([message]);
    const [row] = await look(
      server.connectionString,
      "SELECT convert_to(content, 'UTF8') AS bytes FROM lastchunk_messages WHERE id = $1",
      [message.id],
    );
    expect(row?.['bytes']).toEqual(Buffer.from(text));
  });

  it('fifteen megabytes are stored, as text and as an event', async () => {
    const text = 'aé😀\n"\\'.repeat(1_500_000);
    const messages = [aMessage({ text }), aMessage({ events: [text] })];
    for (const message of messages) await store.save([message]);
    const rows = await look(
      server.connectionString,
      'SELECT length(content) AS length, length(events->>0) AS event FROM lastchunk_messages WHERE id = ANY($1) ORDER BY 1',
      [messages.map(({ id }) => id)],
    );
    const length = 6 * 1_500_000;
    expect(rows).toEqual([
      { length: 5, event: length },
      { length, event: null },
    ]);
  });
});

/** What must be in the row, computed another way than the store does. */
function stored(text: string): string {
  return Buffer.from(text.replaceAll('\0', BAD)).toString();
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Random = () => number;

function anyMessage(random: Random, index: number): Message {
  return aMessage({
    // Often the same few: other streams' ids are among what a client can choose.
    id: pick(random, ['', 'same', `stream ${Math.floor(random() * index)}`, anyText(random)]),
    streamId: `stream ${index}`,
    conversationId: pick(random, [null, '', anyText(random)]),
    role: pick(random, ['assistant', anyText(random)]),
    text: anyText(random),
    events: pick(random, [null, [], [anyValue(random, 0)], JSON.parse(anyDeepJson(random))]),
    metadata: pick(random, [
      null,
      {},
      { value: anyValue(random, 0), lastchunk: anyValue(random, 0) },
    ]),
    complete: random() < 0.5,
    revision: Math.floor(random() * 3),
  });
}

function anyText(random: Random): string {
  const length = Math.floor(pick(random, [1, 10, 700, 30_000]) * random());
  let text = '';
  while (text.length < length) text += pick(random, PIECES);
  return text;
}

function anyDeepJson(random: Random): string {
  const depth = Math.floor(random() * pick(random, [3, 300, 30_000]));
  return `[${'{"a":['.repeat(depth)}1e400,-0,1E-400${']}'.repeat(depth)}]`;
}

function anyValue(random: Random, depth: number): unknown {
  if (depth < 4 && random() < 0.4) {
    const items = Array.from({ length: Math.floor(random() * 4) }, () =>
      anyValue(random, depth + 1),
    );
    if (random() < 0.5) return items;
    return Object.fromEntries(items.map((item) => [anyText(random).slice(0, 200), item]));
  }
  const circular: unknown[] = [1];
  circular.push(circular);
  return pick<unknown>(random, [
    anyText(random),
    random() * 1e300,
    -Infinity,
    NaN,
    2n ** 70n,
    new Date(NaN),
    undefined,
    Symbol('s'),
    () => 1,
    new Map([[1, 2]]),
    circular,
    Object.create(null),
  ]);
}

function pick<T>(random: Random, from: readonly T[]): T {
  // True: the index is inside, so the value is one of them.
  return from[Math.floor(random() * from.length)] as T;
}

const PIECES = [
  '\0',
  '\ud800',
  '\udfff',
  '\ud83d\ude00',
  '\\u0000',
  '\\ud800',
  '\\',
  '"',
  "'",
  '{',
  '}',
  ',',
  'NULL',
  '$1',
  '%s',
  '\n',
  '\u2028',
  '\ufeff',
  '\uffff',
  '\x7f',
  '漢字',
  'e\u0301',
  'word ',
];
