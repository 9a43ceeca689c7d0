/** Short texts that are no JSON are found without an exception, and nothing else is. */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { parseJson } from '../../src/formats/json.ts';
import { isJson, MAX_CHECKED_CHARS } from '../../src/formats/json-syntax.ts';

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** What JSON is made of, and what it must not have. */
const CHARS = '{ } [ ] " , : \\ u 0 1 - . e E t f n'.split(' ').concat(' ', '\n', '\u0001');

describe('the syntax check', () => {
  it.each([
    '{"}',
    '{"a":x}',
    '{"a":1,x}',
    '{"a":1,}',
    '[1,]',
    '[1 2]',
    '["\\x"]',
    '["\\u12g4"]',
    '["\\u0041"]',
    '["\\u004A"]',
    '["\\U004A"]',
    '["\t"]',
    '[01]',
    '[-]',
    '[1.]',
    '[1e+5,-0.0]',
    '[tru]',
    '{}}',
    '[[]',
    '{"a":{"b":[{},[],""]}, "c" : null }\n',
    ' [ ] ',
    '[\u00a0]',
    '{"a"}',
    '{1:2}',
    '',
    '"',
    '"\\"',
  ])('agrees with JSON.parse about %j', (text) => {
    expect(isJson(text)).toBe(parses(text));
  });

  it('agrees with JSON.parse about any JSON, and about JSON with a change', () => {
    const change = fc.record({
      json: fc.json(),
      at: fc.nat(200),
      cut: fc.nat(2),
      text: fc.string({ unit: fc.constantFrom(...CHARS), maxLength: 3 }),
    });
    fc.assert(
      fc.property(change, ({ json, at, cut, text }) => {
        expect(isJson(json)).toBe(true);
        const from = at % (json.length + 1);
        const changed = json.slice(0, from) + text + json.slice(from + cut);
        expect(isJson(changed)).toBe(parses(changed));
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('a text that resembles JSON and is invalid', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each(['{"}', '{"a":x}', '{"a":1,"b":{"c":[1,2,y]}}', '["\\q"]'])(
    'throws no second exception inside: %j',
    (text) => {
      expect(parseJson('{"other":x}')).toBeUndefined();
      const parse = vi.spyOn(JSON, 'parse');
      expect(parseJson(text)).toBeUndefined();
      expect(parse).not.toHaveBeenCalled();
    },
  );

  it('does not keep valid JSON after it from being parsed', () => {
    expect(parseJson('{"a":x}')).toBeUndefined();
    const turns = Array.from({ length: 2_500 }, (_, at) => parseJson(`{"a":${String(at)}}`));
    expect(turns[0]).toEqual({ a: 0 });
    expect(turns[2_499]).toEqual({ a: 2_499 });
  });

  it('throws at most one exception for thousands of texts', () => {
    const parse = vi.spyOn(JSON, 'parse');
    for (let at = 0; at < 5_000; at += 1) expect(parseJson(`{"a":x${String(at)}}`)).toBeUndefined();
    expect(parse.mock.calls.length).toBeLessThanOrEqual(1);
  });

  it('is recognised as invalid if it is long, too', () => {
    const long = `{"a":"${'b'.repeat(MAX_CHECKED_CHARS)}",x}`;
    expect(parseJson(long)).toBeUndefined();
  });
});
