/** A text that grows by pieces says the same as one string. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { TextPieces } from '../../src/formats/text-pieces.ts';

function of(pieces: readonly string[]): TextPieces {
  const text = new TextPieces();
  for (const piece of pieces) text.add(piece);
  return text;
}

it('answers endsWith as the joined string would', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 3 });
  const property = fc.property(
    fc.array(piece),
    fc.string({ unit: fc.constantFrom('a', 'b') }),
    (pieces, end) => {
      const text = of(pieces);
      const string = pieces.join('');
      expect(text.toString()).toBe(string);
      expect(text.endsWith(end)).toBe(string.endsWith(end));
      expect(text.endsWith(string.slice(1))).toBe(true);
      expect(text.equals(string)).toBe(true);
      expect(text.equals(end)).toBe(string === end);
    },
  );
  fc.assert(property, { seed: 1, numRuns: 500 });
});

it('has the same text over many pieces, and a copy is independent', () => {
  const pieces = Array.from({ length: 5_000 }, (_, at) => `${at} `);
  const text = of(pieces);
  const copy = text.copy();
  copy.add('more');
  expect(text.toString()).toBe(pieces.join(''));
  expect(text.endsWith(pieces.slice(100).join(''))).toBe(true);
  expect(text.endsWith(`x${pieces.slice(100).join('')}`)).toBe(false);
  expect(copy.toString()).toBe(`${pieces.join('')}more`);
  expect(copy.length).toBe(text.length + 4);
});
