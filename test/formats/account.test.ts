/** Every leaf of a payload is text, plumbing, or content: from both sides. */
import { describe, expect, it } from 'vitest';
import { BodyReader, type BodyReading, type Format } from '../../src/formats/index.ts';
import { account, FieldTable, MAX_WALKED } from '../../src/formats/account.ts';
import { chatChunk, sse } from '../support/frames.ts';

function read(
  frames: readonly string[],
  format: Format | string = 'auto',
  type = 'text/event-stream',
): BodyReading {
  const reader = new BodyReader(format, type);
  for (const frame of frames) reader.feed(frame);
  return reader.result();
}

const NOTHING = { wordless: false, tool: false, unknown: false, isCutShort: false };

describe('a table of fields', () => {
  const table = new FieldTable({
    plumbing: ['id', 'usage.**', 'items.*.role', 'config.**'],
    wordless: ['items.*.thought'],
    tool: ['items.*.call.**'],
    content: ['config.output.**'],
  });
  const found = (json: unknown, texts: readonly string[] = []) =>
    account(json, table, (leaf) => texts.includes(String(leaf)));

  it('accounts for the fields that it lists, at any depth and in any element', () => {
    const json = { id: 'x', usage: { a: { b: [1, 2] } }, items: [{ role: 'a' }, { role: 'b' }] };
    expect(found(json)).toEqual(NOTHING);
  });

  it('accounts for empty values under any name', () => {
    const json = { a: null, b: '', c: [], d: {}, e: [{ f: [''] }] };
    expect(found(json)).toEqual(NOTHING);
  });

  it('distinguishes the kinds of content', () => {
    expect(found({ items: [{ thought: 'hm' }] })).toMatchObject({ wordless: true, unknown: false });
    expect(found({ items: [{ call: { a: [true] } }] })).toMatchObject({ tool: true });
    expect(found({ items: [{ word: 'hm' }] })).toMatchObject({ unknown: true });
  });

  it('can list a part of a subtree as content and the rest as plumbing', () => {
    expect(found({ config: { model: 'm', limit: 3 } }).unknown).toBe(false);
    expect(found({ config: { output: [{ word: 'hm' }] } }).unknown).toBe(true);
  });

  it('matches a leaf by its path, not by its name', () => {
    expect(found({ id: { deep: 'hm' } }).unknown).toBe(true);
    expect(found({ other: { usage: 1 } }).unknown).toBe(true);
  });

  it('accounts for text at any path, and for numbers by their digits', () => {
    expect(found({ a: 'hi', b: [{ c: 42 }] }, ['hi', '42']).unknown).toBe(false);
  });

  it('walks a payload with 50 000 levels', () => {
    const deep: unknown = JSON.parse(`${'{"a":['.repeat(50_000)}"x"${']}'.repeat(50_000)}`);
    expect(found(deep).unknown).toBe(true);
  });
});

describe('a vendor frame', () => {
  it.each([
    ['a member beside the choices', { choices: [{ delta: { content: 'a' } }], note: 'hm' }],
    ['a member of the choice', { choices: [{ delta: { content: 'a' }, note: 'hm' }] }],
    ['a member of the delta', { choices: [{ delta: { content: 'a', note: 'hm' } }] }],
    ['a number', { choices: [{ delta: { content: 'a' } }], price: 4 }],
  ])('with %s of an unknown name keeps its payload', (_name, payload) => {
    expect(read([sse(payload)])).toMatchObject({ text: 'a', unknownText: true });
  });

  it('with an id, a model, usage and times is text only', () => {
    const payload = {
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      provider: 'p',
      choices: [{ index: 0, delta: { role: 'assistant', content: 'a' }, finish_reason: null }],
      usage: { total_tokens: 3, details: { cached: 1 } },
    };
    expect(read([sse(payload)])).toMatchObject({ unknownText: false, wordless: false });
  });
});

describe('a frame of an unknown format', () => {
  const many = (...payloads: readonly object[]): BodyReading =>
    read(payloads.map((one) => sse(one)));

  it('ignores a leaf that is the same in every frame with a text', () => {
    expect(
      many(
        { text: 'a', session: 'It is s1', lang: 'en' },
        { text: 'b', session: 'It is s1', lang: 'en' },
        { session: 'It is s1', done: true },
      ),
    ).toMatchObject({ text: 'ab', unknownText: false, wordless: false });
  });

  it.each([
    [
      'differs once',
      [
        { text: 'a', note: 'x' },
        { text: 'b', note: 'y' },
      ],
    ],
    ['is missing once', [{ text: 'a', note: 'x' }, { text: 'b' }]],
    ['comes later', [{ text: 'a' }, { text: 'b', note: 'x' }]],
    ['comes once', [{ text: 'a', note: 'x' }]],
    ['stands alone', [{ text: 'a' }, { text: 'b' }, { note: 'x' }]],
    ['stands alone twice', [{ note: 'x' }, { note: 'x' }]],
    [
      'differs where it stands alone',
      [{ text: 'a', note: 'x' }, { text: 'b', note: 'x' }, { note: 'y' }],
    ],
  ])('has content if a leaf %s', (_name, payloads) => {
    expect(many(...payloads)).toMatchObject({ unknownText: true, empty: false });
  });

  it('may have a counter beside a text, but not without one', () => {
    expect(
      many({ text: 'a', words: 1, cached: true }, { text: 'b', words: 2, cached: false }),
    ).toMatchObject({
      unknownText: false,
    });
    expect(many({ text: 'a' }, { words: 2 })).toMatchObject({ unknownText: true });
  });

  it('is accounted for the same frame by frame as in one piece', () => {
    const frames = Array.from({ length: 200 }, (_, at) => sse({ text: `w${at} `, session: 'a b' }));
    const odd = sse({ text: 'x', session: 'c d' });
    for (const body of [
      frames,
      [...frames, odd],
      [...frames.slice(0, 150), odd, ...frames.slice(150)],
    ]) {
      const { events: _a, ...apart } = read(body);
      const { events: _b, ...joined } = read([body.join('')]);
      expect(apart).toEqual(joined);
      expect(apart.unknownText).toBe(body.includes(odd));
    }
  });
});

describe('a custom format', () => {
  const own: Format = {
    name: 'own',
    framing: 'sse',
    finishMarker: 'none',
    plumbing: ['meta.**'],
    terminal: () => false,
    text: ({ json }) => (json as { say?: string }).say ?? '',
    carries: ({ json }) => ((json as { say?: string }).say === undefined ? 'nothing' : 'content'),
  };

  it('has to account for every field before a payload counts as empty', () => {
    expect(read([sse({ meta: { a: 'It is' } })], own)).toMatchObject({ empty: true });
    expect(read([sse({ words: 'It is 42' })], own)).toMatchObject({
      empty: false,
      unknownText: true,
    });
  });

  it('keeps the fields beside a text that it does not list', () => {
    const frames = [sse({ say: 'a', note: 'x' }), sse({ say: 'b', note: 'y' })];
    expect(read(frames, own)).toMatchObject({ text: 'ab', unknownText: false, wordless: true });
    expect(read([sse({ say: 'a', meta: { n: 'x y' } })], own)).toMatchObject({ wordless: false });
  });
});

describe('an empty stream', () => {
  it('carries nothing and is short', () => {
    const start = sse({ type: 'start', id: 'x' });
    expect(read([start])).toMatchObject({ empty: true });
    expect(read(Array.from({ length: 40 }, () => start))).toMatchObject({
      empty: false,
      text: '',
      unknownText: false,
    });
  });

  it('has no error, no tool call and no thought', () => {
    expect(read([sse({ error: { message: 'x' } })]).empty).toBe(false);
    expect(read([chatChunk({ tool_calls: [{ function: { name: 'f' } }] })]).empty).toBe(false);
    expect(read([chatChunk({ reasoning: 'hm' })]).empty).toBe(false);
  });
});

describe('a payload with very many values', () => {
  // The objects and arrays around them are values too.
  const choices = (rows: number): object => ({
    choices: [{ delta: { content: 'a' } }],
    usage: { rows: Array.from({ length: rows - 6 }, (_, at) => at) },
  });
  const own = (rows: number): object => ({
    text: 'a',
    usage: Object.fromEntries(Array.from({ length: rows - 2 }, (_, at) => [`tokens_${at}`, at])),
  });

  it.each([
    ["a vendor's", choices],
    ["nobody's", own],
  ])(
    'of %s format is accounted for up to the bound, and counts as content beyond it',
    (_name, payload) => {
      const under = payload(MAX_WALKED);
      expect(read([sse(under)])).toMatchObject({ text: 'a', unknownText: false });
      const over = payload(MAX_WALKED + 1);
      expect(read([sse(over)])).toMatchObject({ text: 'a', unknownText: true, events: [over] });
    },
  );

  it('of a custom format is known content if the format says that it carries content', () => {
    const format = {
      name: 'own',
      framing: 'sse',
      finishMarker: 'none',
      plumbing: ['usage.**'],
      terminal: () => false,
      text: () => 'a',
      carries: () => 'content',
    } as const satisfies Format;
    expect(read([sse(own(MAX_WALKED))], format)).toMatchObject({ text: 'a', wordless: false });
    const beyond = { text: 'a', unknownText: false, wordless: true };
    expect(read([sse(own(MAX_WALKED + 1))], format)).toMatchObject(beyond);
  });

  it.each([
    ['elements', Array.from({ length: 200_000 }, (_, at) => at)],
    ['arrays', Array.from({ length: 200_000 }, () => [1])],
    ['members', Object.fromEntries(Array.from({ length: 200_000 }, (_, at) => [`k${at}`, at]))],
  ])('is walked only up to the bound if it has too many %s', (_name, payload) => {
    let leaves = 0;
    const isText = (): boolean => {
      leaves += 1;
      return true;
    };
    const found = account(payload, new FieldTable({}), isText);
    expect(found).toMatchObject({ isCutShort: true, unknown: true });
    expect(leaves).toBeLessThanOrEqual(MAX_WALKED);
  });
});
