import { describe, expect, it } from 'vitest';
import type { Relay } from '../../src/relay/port.ts';
import { BodyGoneError, readRelayedBody } from '../../src/relay/takeover.ts';
import { createMemoryRelay } from '../support/memory-relay.ts';

/** An engine that gives `size` bytes of `body` at most at a time. */
function engineOf(body: Uint8Array, size: number) {
  const asked: number[] = [];
  const engine: Relay = {
    ...createMemoryRelay().connect(),
    read: async ([position], { maxBytes }) => {
      asked.push(maxBytes);
      const { offset = 0 } = position ?? {};
      return [{ body: body.subarray(offset, offset + size), end: null }];
    },
  };
  return { engine, asked };
}

describe('the body of a stream in the relay', () => {
  it.each([1, 2, 3, 4, 5, 64])(
    'is the text that was written, even if reads of %i bytes cut characters',
    async (size) => {
      const text = '\ufeffwörld … 😀 end';
      const { engine } = engineOf(Buffer.from(text), size);
      const pieces = await readRelayedBody(engine, 's');
      expect(pieces.every((piece) => typeof piece === 'string')).toBe(true);
      expect(pieces.join('')).toBe(text);
    },
  );

  it.each([
    ['from its beginning', Buffer.from([0x1f, 0x8b, 0xff, 0xfe, 0x00, 0x80])],
    ['in the middle', Buffer.from([0x77, 0xc3, 0xb6, 0x72, 0xff, 0x6c])],
    ['at its end', Buffer.from([0x77, 0xc3, 0xb6, 0xf0, 0x9f, 0x98])],
  ])('is bytes if it is not text: %s', async (_, bytes) => {
    for (const size of [1, 2, 3, 64]) {
      const pieces = await readRelayedBody(engineOf(bytes, size).engine, 's');
      expect(pieces.every((piece) => typeof piece !== 'string')).toBe(true);
      expect(Buffer.concat(pieces.map((piece) => Buffer.from(piece))).equals(bytes)).toBe(true);
    }
  });

  it('is read in pieces of 1 MiB', async () => {
    const body = Buffer.alloc(3_500_000, 'x');
    const { engine, asked } = engineOf(body, 1_048_576);
    const pieces = await readRelayedBody(engine, 's');
    expect(pieces.map((piece) => piece.length)).toEqual([1_048_576, 1_048_576, 1_048_576, 354_272]);
    expect(new Set(asked)).toEqual(new Set([1_048_576]));
  });

  it('is empty if the engine has none of it, and an error if the stream is unknown', async () => {
    expect(await readRelayedBody(engineOf(Buffer.alloc(0), 1).engine, 's')).toEqual([]);
    const unknown = createMemoryRelay().connect();
    await expect(readRelayedBody(unknown, 's')).rejects.toBeInstanceOf(BodyGoneError);
  });
});
