/** What is kept is what the client read, however the handler wrote it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../../src/index.ts';
import { Capture } from '../../../src/stream/body/capture.ts';
import { LiveBytes } from '../../../src/stream/body/live-bytes.ts';
import { chatChunk, FAMILIES, line, sse } from '../../support/frames.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { openClient } from '../../support/http-client.ts';

type Act = (req: IncomingMessage, res: ServerResponse) => void;

/** Longer than what stands behind the text of a frame. */
const LONG = ' word'.repeat(20);
const EMOJI = 'naïve 👩‍🚀 ✓';

const SHAPES: ReadonlyArray<readonly [name: string, act: Act]> = [
  [
    'one buffer that is reused for every write',
    (_, res) => {
      const shared = Buffer.alloc(64);
      const pieces = ['naïve ', '👩‍🚀', ' ✓'];
      const next = (): void => {
        const piece = pieces.shift();
        shared.fill('#');
        if (piece === undefined) res.end();
        else res.write(shared.subarray(0, shared.write(piece)), () => setImmediate(next));
      };
      next();
    },
  ],
  [
    'a Uint8Array that is not a Buffer',
    (_, res) => {
      const bytes = new TextEncoder().encode(EMOJI);
      res.write(bytes, () => {
        bytes.fill(35);
        res.end();
      });
    },
  ],
  [
    'characters split over chunks',
    (_, res) => {
      for (const byte of Buffer.from(EMOJI)) res.write(Buffer.from([byte]));
      res.end();
    },
  ],
  [
    'characters split over string and bytes',
    (_, res) => {
      const bytes = Buffer.from(EMOJI);
      res.write(bytes.subarray(0, 3));
      res.write(bytes.subarray(3, 8));
      res.end(bytes.subarray(8));
    },
  ],
  [
    'base64',
    (_, res) => {
      res.write(Buffer.from(EMOJI).toString('base64'), 'base64');
      res.end();
    },
  ],
  [
    'hex at the end',
    (_, res) => {
      res.write('naïve ');
      res.end(Buffer.from('👩‍🚀 ✓').toString('hex'), 'hex');
    },
  ],
  [
    'latin1 and binary',
    (_, res) => {
      const bytes = Buffer.from(EMOJI).toString('latin1');
      res.write(bytes.slice(0, 4), 'latin1');
      res.write(bytes.slice(4), 'binary');
      res.end();
    },
  ],
  [
    'callbacks with and without an encoding',
    (_, res) => {
      res.write('naïve ', () => {
        res.write('👩‍🚀', 'utf8', () => void res.end(' ✓', 'utf8', () => undefined));
      });
    },
  ],
];

describe('the captured text', () => {
  it.each(SHAPES)('is what the client read: %s', async (_, act) => {
    const { reply, row } = await serveOnce({}, (req, res) => {
      res.setHeader('content-type', 'text/plain; charset=utf-8');
      act(req, res);
    });
    expect(reply.body.toString()).toBe(EMOJI);
    expect(row).toMatchObject({ text: EMOJI, complete: true });
  });

  it.each(FAMILIES)('is the sum of the deltas of $name', async (family) => {
    const { row } = await serveOnce({}, (_, res) => {
      res.setHeader('content-type', family.contentType);
      const all = Array.from(EMOJI, (piece) => family.delta(piece)).join('');
      const bytes = Buffer.from(all + family.finish + family.after);
      for (let at = 0; at < bytes.length; at += 7) res.write(bytes.subarray(at, at + 7));
      res.end();
    });
    expect(row).toMatchObject({ text: EMOJI, complete: true, outcome: 'completed', revision: 0 });
  });

  it('is decoded if the handler itself encoded the body', async () => {
    const { row } = await serveOnce({}, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.setHeader('content-encoding', 'gzip');
      const zipped = gzipSync(chatChunk({ content: EMOJI }) + chatChunk({}, 'stop'));
      res.write(zipped.subarray(0, 20));
      res.end(zipped.subarray(20));
    });
    expect(row).toMatchObject({ text: EMOJI, complete: true });
  });

  it('is cut at maxBytes, which the row and a counter show', async () => {
    const whole = 'abcdefgh'.repeat(200);
    const { row, reply, recorded } = await serveOnce({ maxBytes: 1024 }, (_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write(whole.slice(0, 1000));
      res.write(whole.slice(1000, 1500));
      res.end(whole.slice(1500));
    });
    expect(reply.body.toString()).toBe(whole);
    expect(row).toMatchObject({ text: whole.slice(0, 1024), complete: false });
    expect(row).toMatchObject({ bytes: 1600, droppedBytes: 576, outcome: 'completed' });
    expect(recorded.facts).toEqual([{ unknownText: false, cut: true }]);
  });
});

it.each([
  ['in quotes', [chatChunk({ content: ' "quoted"' })], ' "quoted"'],
  ['in halves', halves(chatChunk({ content: LONG })), LONG],
])('a frame %s among similar frames is read correctly', async (_name, pieces, said) => {
  const plain = Array.from({ length: 6 }, (_, index) => ` word${index}`);
  const { row } = await serveOnce({}, (_, res) => {
    res.setHeader('content-type', 'text/event-stream');
    for (const content of plain) res.write(chatChunk({ content }));
    for (const piece of pieces) res.write(piece);
    for (const content of plain) res.write(chatChunk({ content }));
    res.end(chatChunk({}, 'stop'));
  });
  const text = [...plain, said, ...plain].join('');
  expect(row).toMatchObject({ text, complete: true });
});

it('a frame that is cut adds only its remaining text, even if it resembles the others', async () => {
  // Every cut from before the text of a frame to behind it.
  const frames = Array.from({ length: 20 }, (_, index) => chatChunk({ content: ` word${index}` }));
  const size = Buffer.byteLength(frames[10] ?? '');
  const instance = Buffer.byteLength(frames.slice(0, 10).join(''));
  for (let room = 1; room < size; room += 7) {
    const { row } = await serveOnce({ maxBytes: Math.max(1024, instance + room) }, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      for (const frame of frames) res.write(frame);
      res.end();
    });
    const whole = frames.slice(0, 10).map((_, index) => ` word${index}`);
    expect([whole.join(''), `${whole.join('')} word10`]).toContain(row.text);
  }
});

describe('a payload of unknown content', () => {
  it('is kept with its events, counted, and never treated as empty', async () => {
    const strange = { kind: 'fragment', v2: { body: ['hello'] } };
    const { row, recorded } = await serveOnce({}, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(sse(strange));
      res.end();
    });
    expect(row).toMatchObject({ text: '', events: [strange] });
    expect(recorded.facts).toEqual([{ unknownText: true, cut: false }]);
    expect(recorded.skips).toEqual([]);
  });

  it('in NDJSON is kept too', async () => {
    const { row } = await serveOnce({}, (_, res) => {
      res.setHeader('content-type', 'application/x-ndjson');
      res.write(line({ kind: 'fragment' }));
      res.end();
    });
    expect(row.events).toEqual([{ kind: 'fragment' }]);
  });
});

describe('events of a message', () => {
  it('are not kept if the text is the whole answer', async () => {
    const { row } = await serveOnce({}, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.end(chatChunk({ content: 'a' }) + chatChunk({}, 'stop'));
    });
    expect(row.events).toBeNull();
  });

  it('are kept if the option is set, or if there are tool calls', async () => {
    const call = { tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '{"a' } }] };
    const asked = await serveOnce({ events: true }, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.end(chatChunk({ content: 'a' }) + chatChunk({}, 'stop'));
    });
    expect(asked.row.events).toHaveLength(2);
    const tools = await serveOnce({}, (_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk(call));
      res.end();
    });
    expect(tools.row).toMatchObject({ complete: false, outcome: 'truncated', side: 'upstream' });
    expect(tools.row.events).toHaveLength(1);
  });
});

function halves(frame: string): string[] {
  return [frame.slice(0, -20), frame.slice(-20)];
}

async function serveOnce(options: GuardOptions, act: Act) {
  const instance = createInMemoryInstance();
  const guard = instance.keep.guard(options, act);
  const testServer = await serve((req, res) => void guard(req, res));
  const httpClient = await openClient(testServer, '/');
  const reply = await httpClient.over();
  await instance.recorded.ended();
  expect(instance.recorded.internalErrors).toEqual([]);
  return { reply, row: instance.store.row, recorded: instance.recorded };
}

describe('the size that a capture counts', () => {
  const capture = (charset: string, maxBytes = 1024) => {
    const live = new LiveBytes({ maxBytes: 1e9, streams: new Map(), onCut: () => undefined });
    return { live, kept: new Capture({ maxBytes, encoded: false, strict: false, charset, live }) };
  };

  it.each([
    ['of a charset of its own', 'iso-8859-1', Buffer.from('é'.repeat(100), 'latin1'), 200],
    ['of UTF-16', 'utf-16le', Buffer.from('a'.repeat(100), 'utf16le'), 100],
    ['with half a character at its end', '', Buffer.from('漢'.repeat(10)).subarray(0, 29), 27],
    ['that is cut', '', 'x'.repeat(2_000), 1_024],
    ['that is cut within a character', '', '漢'.repeat(400), 1_023],
  ])('is the size that it keeps: of a write %s', (...[, charset, chunk, bytes]) => {
    const { live, kept } = capture(charset);
    kept.take(chunk, undefined);
    expect(kept.pieces.join('')).not.toBe('');
    expect(Buffer.byteLength(kept.pieces.join(''))).toBe(bytes);
    expect(kept.heldBytes).toBe(bytes + 32);
    expect(live.bytes).toBe(bytes + 32);
    kept.release();
    expect(live.bytes).toBe(0);
  });

  it('stays within maxBytes, with any charset', () => {
    const { kept } = capture('iso-8859-1');
    for (let count = 0; count < 20; count += 1) kept.take(Buffer.alloc(100, 0xe9), undefined);
    expect(kept.pieces.join('')).toBe('é'.repeat(512));
    expect(kept.bytes).toBe(2_000);
    expect(kept.droppedBytes).toBe(4_000 - 1_024);
  });
});
