/** Bodies that the handler encoded itself: whole, cut, damaged, and far larger than they look. */
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeBody } from '../../src/formats/index.ts';

const MIB = 1_048_576;
const TEXT = Array.from(
  { length: 5_000 },
  (_, index) => `data: Grüße ${(index * 7_919) % 9_973} 😀\n\n`,
).join('');
const BYTES = Buffer.from(TEXT);

/** Not in every Node that is supported; nor in the types. */
const zstdCompress: unknown = 'zstdCompressSync' in zlib ? zlib.zstdCompressSync : undefined;

const CODINGS: readonly (readonly [string, Uint8Array])[] = [
  ['gzip', zlib.gzipSync(BYTES)],
  ['x-gzip', zlib.gzipSync(BYTES)],
  ['deflate', zlib.deflateSync(BYTES)],
  ['deflate', zlib.deflateRawSync(BYTES)],
  ['br', zlib.brotliCompressSync(BYTES)],
];

describe.each(CODINGS)('%s', (coding, encoded) => {
  it('is decoded, whatever pieces it comes in', () => {
    const pieces = [encoded.subarray(0, 7), encoded.subarray(7, 8), encoded.subarray(8)];
    expect(decodeBody(pieces, coding, 16 * MIB)).toEqual({ text: TEXT, dropped: 0 });
  });

  it('cut off gives what came before the cut', () => {
    const cut = encoded.subarray(0, Math.floor(encoded.length * 0.8));
    const { text, dropped } = decodeBody([cut], coding, 16 * MIB);
    expect(dropped).toBe(0);
    expect(text.length).toBeGreaterThan(TEXT.length / 4);
    expect(TEXT.startsWith(text)).toBe(true);
  });

  it('over maxBytes gives the first of them, and says that there is more', () => {
    const { text, dropped } = decodeBody([encoded], coding, 10_001);
    expect(Buffer.byteLength(text)).toBeGreaterThan(10_001 - 4);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(10_001);
    expect(TEXT.startsWith(text)).toBe(true);
    expect(dropped).toBeGreaterThan(0);
  });

  it('of nothing is nothing', () => {
    expect(decodeBody([], coding, MIB)).toEqual({ text: '', dropped: 0 });
    expect(decodeBody([encoded.subarray(0, 1)], coding, MIB)).toEqual({ text: '', dropped: 0 });
  });
});

it('damaged gives what is sound before the damage', () => {
  const gzip = Buffer.from(zlib.gzipSync(BYTES));
  // The deflate block type 3 does not exist: stored blocks of a level 0 stream make its place known.
  const stored = Buffer.from(zlib.deflateRawSync(BYTES, { level: 0 }));
  const second = 5 + stored.readUInt16LE(1);
  stored.writeUInt8(0b110, second);
  const block = BYTES.subarray(0, second - 5);
  const raw = decodeBody([stored], 'deflate', 16 * MIB);
  expect(TEXT.startsWith(raw.text)).toBe(true);
  expect(Buffer.byteLength(raw.text)).toBeGreaterThan(block.length - 4);
  expect(raw.dropped).toBe(stored.length - second);

  gzip.writeUInt8(gzip.readUInt8(gzip.length - 8) ^ 0xff, gzip.length - 8);
  const badSum = decodeBody([gzip], 'gzip', 16 * MIB);
  expect(badSum.text).toBe(TEXT);
  expect(badSum.dropped).toBeGreaterThan(0);
});

it('a bomb is not let off', () => {
  const bomb = zlib.gzipSync(Buffer.alloc(64 * MIB, 'a'));
  const { text, dropped } = decodeBody([bomb], 'gzip', 2 * MIB);
  expect(text).toHaveLength(2 * MIB);
  expect(dropped).toBeGreaterThan(0);
  const small = decodeBody([zlib.brotliCompressSync(Buffer.alloc(16 * MIB, 'a'))], 'br', 2 * MIB);
  expect(small.text.length).toBeLessThanOrEqual(2 * MIB);
  expect(small.dropped).toBeGreaterThan(0);
});

it('undoes several codings from the last to the first', () => {
  const twice = zlib.brotliCompressSync(zlib.gzipSync(BYTES));
  expect(decodeBody([twice], 'gzip, BR', 16 * MIB)).toEqual({ text: TEXT, dropped: 0 });
});

it('leaves out a character that was cut', () => {
  const whole = zlib.gzipSync(Buffer.from('ab😀').subarray(0, 4));
  expect(decodeBody([whole], 'gzip', MIB)).toEqual({ text: 'ab', dropped: 0 });
});

it('takes a body without coding as it is', () => {
  expect(decodeBody(['Grü', Buffer.from('ße')], 'identity', MIB)).toEqual({
    text: 'Grüße',
    dropped: 0,
  });
  expect(decodeBody(['hello'], '', 3)).toEqual({ text: 'hel', dropped: 2 });
});

it('drops what nobody here can decode, and says so', () => {
  expect(decodeBody([Buffer.from('abc')], 'compress', MIB)).toEqual({ text: '', dropped: 3 });
  expect(decodeBody([Buffer.from('not gzip')], 'gzip', MIB)).toEqual({ text: '', dropped: 8 });
});

it('decodes zstd exactly where this Node can', () => {
  const encoded: unknown = typeof zstdCompress === 'function' ? zstdCompress(BYTES) : BYTES;
  const bytes = encoded instanceof Uint8Array ? encoded : BYTES;
  const able = typeof zstdCompress === 'function';
  expect(decodeBody([bytes], 'zstd', 16 * MIB)).toEqual(
    able ? { text: TEXT, dropped: 0 } : { text: '', dropped: BYTES.length },
  );
});
