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
  ])('says of %j what JSON.parse says', (text) => {
    expect(isJson(text)).toBe(parses(text));
  });

  it('says of any JSON what JSON.parse says, and of JSON with a change', () => {
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

describe('a text that looks like JSON and is none', () => {
  afterEach(() => vi.restoreAllMocks());

  it.each(['{"}', '{"a":x}', '{"a":1,"b":{"c":[1,2,y]}}', '["\\q"]'])(
    'as %j costs no exception behind another one',
    (text) => {
      expect(parseJson('{"other":x}')).toBeUndefined();
      const parse = vi.spyOn(JSON, 'parse');
      expect(parseJson(text)).toBeUndefined();
      expect(parse).not.toHaveBeenCalled();
    },
  );

  it('lets a text that is JSON be parsed, at once and behind it', () => {
    expect(parseJson('{"a":x}')).toBeUndefined();
    const turns = Array.from({ length: 2_500 }, (_, at) => parseJson(`{"a":${String(at)}}`));
    expect(turns[0]).toEqual({ a: 0 });
    expect(turns[2_499]).toEqual({ a: 2_499 });
  });

  it('costs one exception where texts come by the thousand', () => {
    const parse = vi.spyOn(JSON, 'parse');
    for (let at = 0; at < 5_000; at += 1) expect(parseJson(`{"a":x${String(at)}}`)).toBeUndefined();
    expect(parse.mock.calls.length).toBeLessThanOrEqual(1);
  });

  it('is found where it is long, too', () => {
    const long = `{"a":"${'b'.repeat(MAX_CHECKED_CHARS)}",x}`;
    expect(parseJson(long)).toBeUndefined();
  });
});
