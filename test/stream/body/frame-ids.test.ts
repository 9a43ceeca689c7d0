import fc from 'fast-check';
import { createParser } from 'eventsource-parser';
import { describe, expect, it } from 'vitest';
import { FrameIds, frameIdsFor } from '../../../src/stream/body/frame-ids.ts';
import { guardSettings } from '../../../src/stream/settings.ts';

/** What is written where a handler writes these pieces. */
function written(pieces: readonly (string | Uint8Array)[], encoding?: string): Buffer {
  const ids = new FrameIds(() => {});
  return Buffer.concat(
    pieces.map((piece) => {
      const args: unknown[] = [piece, encoding];
      ids.addTo(args);
      const [chunk] = args;
      if (chunk instanceof Uint8Array) return Buffer.from(chunk);
      return Buffer.from(String(chunk), encoding as BufferEncoding | undefined);
    }),
  );
}

/** What an `EventSource` makes of a body. */
function eventsOf(body: Buffer): { id: string | undefined; data: string }[] {
  const events: { id: string | undefined; data: string }[] = [];
  const parser = createParser({ onEvent: ({ id, data }) => events.push({ id, data }) });
  parser.feed(body.toString());
  return events;
}

describe('the ids of frames', () => {
  it('are the offsets of their ends in the sent body, ids included', () => {
    const body = written(['data: one\n\ndata: twö\n\n']);
    const first = 'data: one\nid: 18\n\n';
    expect(body.toString()).toBe(`${first}data: twö\nid: 37\n\n`);
    expect(Buffer.byteLength(first)).toBe(18);
    expect(body).toHaveLength(37);
  });

  it.each([
    ['comments and blank lines get no id', [': ping\n\n\n:\n\n'], ': ping\n\n\n:\n\n'],
    ['a frame with a comment in it gets an id', [': x\ndata: 1\n\n'], ': x\ndata: 1\nid: 20\n\n'],
    ['a frame with an id keeps it', ['id: 7\ndata: 1\n\nid\n\n'], 'id: 7\ndata: 1\n\nid\n\n'],
    ['a field whose name begins with id is not an id', ['idle: 1\n\n'], 'idle: 1\nid: 16\n\n'],
    ['lines may end in CRLF', ['data: 1\r\n\r\n'], 'data: 1\r\nid: 19\r\n\r\n'],
    ['lines may end in CR', ['data: 1\r\rdata: 2\r\r'], 'data: 1\rid: 16\r\rdata: 2\rid: 32\r\r'],
    ['a frame without its end gets no id', ['data: 1\n'], 'data: 1\n'],
  ])('%s', (_name, pieces, sent) => {
    expect(written(pieces).toString()).toBe(sent);
  });

  it('include their own length, even where it grows by a digit', () => {
    const body = written(['data: 12345\n\n'.repeat(60)]);
    const ends = eventsOf(body).map(({ id }) => Number(id));
    expect(ends).toHaveLength(60);
    for (const end of ends) expect(body.subarray(end - 2, end).toString()).toBe('\n\n');
    expect(ends.at(-1)).toBe(body.length);
  });

  it('are the same wherever the body is cut, except for a CRLF that is cut at its end', () => {
    const text =
      'data: one\n\n: ping\n\nid: 4\ndata: x\n\nevent: ä\ndata: tw\u{1F600}\ndata: o\n\n';
    const whole = written([text]);
    const bytes = Buffer.from(text);
    fc.assert(
      fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
        const at = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
        const pieces = at.slice(1).map((to, n) => bytes.subarray(at[n], to));
        expect(written(pieces).toString()).toBe(whole.toString());
      }),
    );
  });

  it('are the offset before the rest of a CRLF that comes later', () => {
    const body = written(['data: 1\r\n\r', '\ndata: 2\r', '\n\r\n']);
    expect(body.toString()).toBe('data: 1\r\nid: 18\r\n\r\ndata: 2\r\nid: 38\r\n\r\n');
    const rest = body.subarray(18);
    expect(eventsOf(rest).map(({ data }) => data)).toEqual(['2']);
    expect(body).toHaveLength(38);
  });

  it.each(['latin1', 'base64', 'hex'] as const)('are added to text in %s', (encoding) => {
    const bytes = Buffer.from('data: one\n\n');
    expect(written([bytes.toString(encoding)], encoding).toString()).toBe('data: one\nid: 18\n\n');
  });

  it('do not change the buffer of the handler', () => {
    const chunk = Buffer.from('data: one\n\n');
    written([chunk]);
    expect(chunk.toString()).toBe('data: one\n\n');
    const args: unknown[] = [Buffer.from('data: one\n')];
    const [given] = args;
    new FrameIds(() => {}).addTo(args);
    expect(args[0]).toBe(given);
  });
});

describe('a stream whose frames get no ids', () => {
  const head = {
    status: 200,
    contentType: 'text/event-stream',
    contentEncoding: '',
    charset: '',
    contentLength: undefined,
    revalidates: false,
  };

  it.each([
    ['no event stream', { contentType: 'application/x-ndjson' }],
    ['encodes the body', { contentEncoding: 'gzip' }],
    ['Content-Length', { contentLength: 10 }],
    ['UTF-8', { charset: 'iso-8859-1' }],
  ])('is one with: %s, which is logged once', (word, given) => {
    const told: string[] = [];
    const environment = { warnOnce: (_key: string, message: string) => void told.push(message) };
    const ids = frameIdsFor(guardSettings({ ids: true }), environment, { ...head, ...given });
    expect(ids).toBeUndefined();
    expect(told).toHaveLength(1);
    expect(told[0]).toContain(word);
  });

  it('is one that a middleware behind the guard compresses', () => {
    const told: string[] = [];
    const ids = new FrameIds((_key, message) => void told.push(message));
    const gzip = Buffer.from([0x1f, 0x8b, 8, 0, 10, 10, 10, 10]);
    const args: unknown[] = [gzip];
    ids.addTo(args);
    expect(args[0]).toBe(gzip);
    expect(told).toEqual([expect.stringContaining('no text')]);
  });
});
