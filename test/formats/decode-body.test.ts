/** Bodies that the handler encoded itself: whole, cut, damaged, and far larger than they look. */
import * as zlib from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decodeAtOnce, decodeBody } from '../../src/formats/index.ts';

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
  it('is decoded, whatever chunks it comes in', async () => {
    const pieces = [encoded.subarray(0, 7), encoded.subarray(7, 8), encoded.subarray(8)];
    expect(await decodeBody(pieces, coding, 16 * MIB)).toMatchObject({ text: TEXT, dropped: 0 });
  });

  it('cut off is decoded up to the cut', async () => {
    const cut = encoded.subarray(0, Math.floor(encoded.length * 0.8));
    const { text, dropped } = await decodeBody([cut], coding, 16 * MIB);
    expect(dropped).toBe(0);
    expect(text.length).toBeGreaterThan(TEXT.length / 4);
    expect(TEXT.startsWith(text)).toBe(true);
  });

  it('over maxBytes is decoded up to maxBytes, and reported as longer', async () => {
    const { text, dropped } = await decodeBody([encoded], coding, 10_001);
    expect(Buffer.byteLength(text)).toBeGreaterThan(10_001 - 4);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(10_001);
    expect(TEXT.startsWith(text)).toBe(true);
    expect(dropped).toBeGreaterThan(0);
  });

  it('of an empty body decodes to nothing', async () => {
    expect(await decodeBody([], coding, MIB)).toMatchObject({ text: '', dropped: 0 });
  });

  it('of which only the first byte came is kept undecoded', async () => {
    const first = encoded.subarray(0, 1);
    const kept = { text: '', dropped: 1, undecodable: first };
    expect(await decodeBody([first], coding, MIB)).toMatchObject(kept);
  });
});

it('a damaged body is decoded up to the damage', async () => {
  const gzip = Buffer.from(zlib.gzipSync(BYTES));
  // The deflate block type 3 does not exist: stored blocks of a level 0 stream make its place known.
  const stored = Buffer.from(zlib.deflateRawSync(BYTES, { level: 0 }));
  const second = 5 + stored.readUInt16LE(1);
  stored.writeUInt8(0b110, second);
  const block = BYTES.subarray(0, second - 5);
  const raw = await decodeBody([stored], 'deflate', 16 * MIB);
  expect(TEXT.startsWith(raw.text)).toBe(true);
  expect(Buffer.byteLength(raw.text)).toBeGreaterThan(block.length - 4);
  expect(raw.dropped).toBe(stored.length - second);

  gzip.writeUInt8(gzip.readUInt8(gzip.length - 8) ^ 0xff, gzip.length - 8);
  const badSum = await decodeBody([gzip], 'gzip', 16 * MIB);
  expect(badSum.text).toBe(TEXT);
  expect(badSum.dropped).toBeGreaterThan(0);
});

it('a decompression bomb is decoded up to maxBytes', async () => {
  const bomb = zlib.gzipSync(Buffer.alloc(64 * MIB, 'a'));
  const { text, dropped } = await decodeBody([bomb], 'gzip', 2 * MIB);
  expect(text).toHaveLength(2 * MIB);
  expect(dropped).toBeGreaterThan(0);
  const small = await decodeBody(
    [zlib.brotliCompressSync(Buffer.alloc(16 * MIB, 'a'))],
    'br',
    2 * MIB,
  );
  expect(small.text.length).toBeLessThanOrEqual(2 * MIB);
  expect(small.dropped).toBeGreaterThan(0);
});

it('several codings are undone from the last to the first', async () => {
  const twice = zlib.brotliCompressSync(zlib.gzipSync(BYTES));
  expect(await decodeBody([twice], 'gzip, BR', 16 * MIB)).toMatchObject({ text: TEXT, dropped: 0 });
});

it('a character that was cut is left out', async () => {
  const whole = zlib.gzipSync(Buffer.from('ab😀').subarray(0, 4));
  expect(await decodeBody([whole], 'gzip', MIB)).toMatchObject({ text: 'ab', dropped: 0 });
});

it('a body without coding is returned as it is', async () => {
  expect(await decodeBody(['Grü', Buffer.from('ße')], 'identity', MIB)).toMatchObject({
    text: 'Grüße',
    dropped: 0,
  });
  expect(await decodeBody(['hello'], '', 3)).toMatchObject({ text: 'hel', dropped: 2 });
});

it('a text is returned as it is, whatever coding is named', async () => {
  for (const coding of ['gzip', 'br', 'deflate', 'compress', 'none', 'utf-8', 'chunked']) {
    const decoded = await decodeBody([Buffer.from(TEXT)], coding, MIB);
    expect(decoded, coding).toEqual({ text: TEXT, dropped: 0, undecodable: undefined });
  }
});

it('bytes that cannot be decoded are returned as they are', async () => {
  const bytes = Buffer.from([0x80, 0xff, 0xfe, 0x00, 0x9c, 0xba, 0xc1]);
  for (const coding of ['compress', 'gzip', 'x-own']) {
    const decoded = await decodeBody([bytes], coding, MIB);
    expect(decoded, coding).toEqual({ text: '', dropped: 7, undecodable: bytes });
  }
});

it('the coding is recognised in bytes without its name', async () => {
  for (const bytes of [
    zlib.gzipSync(BYTES),
    zlib.deflateSync(BYTES),
    zlib.brotliCompressSync(BYTES),
  ]) {
    expect(await decodeBody([bytes], '', 16 * MIB)).toMatchObject({ text: TEXT, dropped: 0 });
  }
});

it('garbage behind a body is dropped and counted', async () => {
  const garbage = Buffer.alloc(100_000, 0xa7);
  const decoded = await decodeBody([zlib.gzipSync(BYTES), garbage], 'gzip', 16 * MIB);
  expect(decoded.text).toBe(TEXT);
  expect(decoded.dropped).toBeGreaterThan(99_990);
});

it('a short intact body is decoded at once, and any other one in steps', () => {
  expect(decodeAtOnce([zlib.gzipSync(BYTES)], 'gzip', MIB)).toMatchObject({ text: TEXT });
  expect(decodeAtOnce([zlib.gzipSync(Buffer.alloc(8 * MIB))], 'gzip', MIB)).toBeUndefined();
  expect(decodeAtOnce([Buffer.alloc(MIB)], 'gzip', MIB)).toBeUndefined();
  expect(decodeAtOnce([Buffer.from([0x80, 0xff, 0x9c])], 'gzip', MIB)).toBeUndefined();
});

it('zstd is decoded if this Node supports it', async () => {
  const encoded: unknown = typeof zstdCompress === 'function' ? zstdCompress(BYTES) : BYTES;
  const bytes = encoded instanceof Uint8Array ? encoded : BYTES;
  // Where it cannot, the bytes are text.
  expect(await decodeBody([bytes], 'zstd', 16 * MIB)).toMatchObject({ text: TEXT, dropped: 0 });
});

describe('a body with a coding and a charset', () => {
  const latin1 = Buffer.from('Grüße aus Köln', 'latin1');
  const utf16 = Buffer.from('Grüße 😀', 'utf16le');

  it('is decoded in its charset, at once and in steps', async () => {
    for (const [bytes, charset, text] of [
      [latin1, 'iso-8859-1', 'Grüße aus Köln'],
      [utf16, 'utf-16le', 'Grüße 😀'],
    ] as const) {
      const gzip = zlib.gzipSync(bytes);
      const expected = { text, dropped: 0, undecodable: undefined };
      expect(decodeAtOnce([gzip], 'gzip', MIB, charset)).toEqual(expected);
      expect(await decodeBody([gzip], 'gzip', MIB, charset)).toEqual(expected);
      // The label is wrong, or comes late.
      expect(await decodeBody([bytes], 'gzip', MIB, charset)).toEqual(expected);
      expect(await decodeBody([gzip], '', MIB, charset)).toEqual(expected);
    }
  });

  it('is read as UTF-8 if its charset is unknown', async () => {
    const gzip = zlib.gzipSync('Grüße');
    expect(await decodeBody([gzip], 'gzip', MIB, 'x-nobody')).toMatchObject({ text: 'Grüße' });
  });
});
