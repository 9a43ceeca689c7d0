import { crc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { HEADER_BYTES, KIND, checksum, scan, seal } from '../../src/journal/record.ts';

const SALT = 0x1234_5678;

function records(texts: readonly string[], salt = SALT): Buffer {
  return Buffer.concat(
    texts.map((text, index) => {
      const payload = Buffer.from(text);
      const record = Buffer.concat([Buffer.alloc(HEADER_BYTES), payload]);
      const head = { kind: KIND.text, stream: index, offset: index * 10 };
      seal(record, 0, { ...head, payloadBytes: payload.length }, salt);
      return record;
    }),
  );
}

function read(bytes: Buffer, salt = SALT): { texts: string[]; damaged: number } {
  const texts: string[] = [];
  const { damaged } = scan(bytes, { from: 0, until: bytes.length, salt }, (record) => {
    texts.push(bytes.toString('utf8', record.payloadAt, record.payloadAt + record.payloadBytes));
  });
  return { texts, damaged };
}

describe('a record', () => {
  it('is read as it was written', () => {
    const bytes = records(['one', 'two']);
    const found: object[] = [];
    scan(bytes, { from: 0, until: bytes.length, salt: SALT }, (record) => found.push(record));
    expect(found).toMatchObject([
      { kind: KIND.text, stream: 0, offset: 0, at: 0, payloadBytes: 3 },
      { kind: KIND.text, stream: 1, offset: 10, at: HEADER_BYTES + 3, payloadBytes: 3 },
    ]);
  });

  it('is cut at every byte of a torn tail, and the records before it are read', () => {
    const bytes = records(['one', 'two', 'three']);
    const [first, second] = [HEADER_BYTES + 3, 2 * (HEADER_BYTES + 3)];
    for (let length = 0; length < bytes.length; length++) {
      const whole = length < first ? 0 : length < second ? 1 : 2;
      const torn = [0, first, second].includes(length) ? 0 : 1;
      expect(read(bytes.subarray(0, length)), `cut at ${length}`).toEqual({
        texts: ['one', 'two', 'three'].slice(0, whole),
        damaged: torn,
      });
    }
  });

  it('is skipped if any one bit of it is flipped, and the others are read', () => {
    const bytes = records(['one', 'two', 'three']);
    for (let at = HEADER_BYTES + 3; at < 2 * (HEADER_BYTES + 3); at++) {
      for (let bit = 0; bit < 8; bit++) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        expect(read(flipped), `bit ${bit} of byte ${at}`).toEqual({
          texts: ['one', 'three'],
          damaged: 1,
        });
      }
    }
  });

  it('is invalid if it was sealed for another segment', () => {
    expect(read(records(['stale', 'bytes'], SALT + 1))).toEqual({ texts: [], damaged: 1 });
  });

  it('cannot be forged by a text that looks like one', () => {
    const forged = records(['forged'], 0).toString('latin1');
    const bytes = records(['before', forged, 'after']);
    bytes[HEADER_BYTES] = 0;
    expect(read(bytes).texts).toEqual([Buffer.from(forged).toString('utf8'), 'after']);
  });

  it('is found after zeros, as a power cut leaves them', () => {
    const bytes = Buffer.concat([records(['one']), Buffer.alloc(4096), records(['two'])]);
    expect(read(bytes)).toEqual({ texts: ['one', 'two'], damaged: 1 });
  });
});

describe('the checksum', () => {
  it('is CRC-32, for any length and seed', () => {
    const bytes = Buffer.from(Array.from({ length: 700 }, (_, at) => (at * 131) & 0xff));
    for (let length = 0; length < 600; length++) {
      for (const seed of [0, 1, 0xffff_ffff, SALT]) {
        const expected = crc32(bytes.subarray(7, 7 + length), seed);
        expect(checksum(bytes, 7, 7 + length, seed), `${length} bytes`).toBe(expected);
      }
    }
  });
});
