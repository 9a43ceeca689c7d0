/** Reading a captured body: in slices where it is large, the same in a process that recovers it, and never with an exception. */
import { gzipSync } from 'node:zlib';
import { performance } from 'node:perf_hooks';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { OpenedStream, Piece } from '../../../src/core/save-port.ts';
import { BodyReader, type Format } from '../../../src/formats/index.ts';
import { CapturedBody } from '../../../src/stream/body/captured-body.ts';
import { contentOf, readBody } from '../../../src/stream/body/content.ts';
import { chatChunk, sse } from '../../support/frames.ts';

function bodyOf(
  pieces: readonly Piece[],
  {
    format = 'auto',
    contentEncoding = '',
    onFormatError = () => {},
    events = false,
  }: {
    readonly format?: Format | 'auto';
    readonly contentEncoding?: string;
    readonly onFormatError?: (error: unknown) => void;
    readonly events?: boolean;
  } = {},
): CapturedBody {
  return new CapturedBody(
    { pieces },
    {
      format,
      contentType: 'text/event-stream',
      contentEncoding,
      maxBytes: 64 * 1_048_576,
      template: () => undefined,
      onFormatError,
      keepsEvents: () => events,
    },
  );
}

const DELTA = chatChunk({ content: 'word ' });
const LARGE = DELTA.repeat(20_000) + chatChunk({}, 'stop');

const opened: OpenedStream = {
  id: 's',
  messageId: 'm',
  conversationId: null,
  role: 'assistant',
  metadata: null,
  route: '/',
  format: 'auto',
  contentType: 'text/event-stream',
  contentEncoding: '',
  events: false,
  startedAtMs: 0,
  traceparent: null,
};

describe('a large captured body', () => {
  it('is available at once only after it was read in slices', async () => {
    const body = bodyOf([LARGE]);
    expect(body.readAtOnce()).toBeUndefined();
    expect(body.read()).toMatchObject({ text: '' });
    const reading = await body.readInSlices();
    expect(reading).toMatchObject({ text: 'word '.repeat(20_000), finished: true });
    expect(body.readAtOnce()).toBe(reading);
    expect(body.read()).toBe(reading);
  });

  it('yields to the event loop between its slices', async () => {
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns += 1;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    // Frames that differ in more than their text, so that each of them is parsed.
    const frames = Array.from({ length: 40_000 }, (_, at) => sse({ n: at, text: `word ${at} ` }));
    await bodyOf([frames.join('')]).readInSlices();
    isOver = true;
    expect(turns).toBeGreaterThan(3);
  });

  it('includes the chunks that come while it is read', async () => {
    const pieces = [LARGE];
    const body = bodyOf(pieces);
    const reading = body.readInSlices();
    pieces.push(chatChunk({ content: 'more' }));
    // Half read, it says what it said before, and is read on by the next one.
    expect(body.readAtOnce()).toBeUndefined();
    expect(body.read()).toMatchObject({ text: '' });
    const next = body.readInSlices();
    expect((await next).text).toBe(`${'word '.repeat(20_000)}more`);
    expect((await reading).text).toHaveLength(5 * 20_000);
    expect(body.read()).toMatchObject({ text: `${'word '.repeat(20_000)}more`, finished: false });
  });

  it('of many small pieces is read at once as long as each part is small', () => {
    // However busy the machine is.
    const clock = vi.spyOn(performance, 'now').mockReturnValue(0);
    const pieces: Piece[] = [];
    const body = bodyOf(pieces);
    for (let at = 0; at < 20; at += 1) {
      for (let count = 0; count < 1_000; count += 1) pieces.push(DELTA);
      expect(body.readAtOnce()?.text).toHaveLength(5_000 * (at + 1));
    }
    clock.mockRestore();
  });
});

describe('a slice of a body', () => {
  afterEach(() => vi.restoreAllMocks());

  /** Reads a body by a clock that goes on by `stepMs` at each look, and counts the frames between two looks. */
  async function readByClock(
    pieces: readonly Piece[],
    stepMs: number,
    contentEncoding = '',
  ): Promise<{ readonly reading: object; readonly mostFrames: number; readonly frames: number }> {
    let frames = 0;
    let before = 0;
    let mostFrames = 0;
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => {
      mostFrames = Math.max(mostFrames, frames - before);
      before = frames;
      now += stepMs;
      return now;
    });
    const counting = {
      name: 'counting',
      framing: 'sse',
      finishMarker: 'none',
      terminal: () => false,
      text: ({ data }) => {
        frames += 1;
        return data;
      },
      carries: () => 'content',
    } as const satisfies Format;
    const body = bodyOf(pieces, { format: counting, contentEncoding });
    const reading = await body.readInSlices();
    return { reading, mostFrames, frames };
  }

  const SMALL = 'data:1\n\n'.repeat(100_000);

  it.each([
    ['one piece of tiny frames', [SMALL], ''],
    ['pieces of 64 KiB', SMALL.match(/[^]{1,65536}/g) ?? [], ''],
    ['frames of no JSON', ['data:{"}\n\n'.repeat(100_000)], ''],
    ['an encoded body', [gzipSync(SMALL)], 'gzip'],
  ])('of %s has few frames between two checks of the clock', async (_name, pieces, coding) => {
    const { mostFrames, frames } = await readByClock(pieces, 0, coding);
    expect(frames).toBe(100_000);
    expect(mostFrames).toBeLessThanOrEqual(1_024 / 8);
  });

  it.each([
    ['frames that differ', sse({ n: 1, text: 'a' }) + sse({ text: 'b' }) + sse({ n: [2] })],
    ['frames of no JSON', 'data:{"}\n\ndata:{"a":x}\n\n'],
    ['long frames', chatChunk({ content: 'word '.repeat(1_000) })],
    ['CRLF frames', DELTA.replaceAll('\n', '\r\n')],
  ])('of %s gives the same reading wherever it ends', async (_name, frame) => {
    const text = frame.repeat(Math.ceil(300_000 / frame.length));
    const whole = (await readByClock([text], 0)).reading;
    expect((await readByClock([text], 2)).reading).toEqual(whole);
    expect((await readByClock([text], 100)).reading).toEqual(whole);
    vi.restoreAllMocks();
    const atOnce = new BodyReader('auto', 'text/event-stream');
    atOnce.feed(text);
    expect(await bodyOf([text]).readInSlices()).toEqual(atOnce.result());
  });
});

describe('a small body that takes longer than a slice', () => {
  afterEach(() => vi.restoreAllMocks());

  const FRAMES = Array.from({ length: 4_000 }, (_, at) => sse({ n: at, text: `word ${at} ` }));

  it.each([
    ['in one piece', [FRAMES.join('')]],
    ['in many pieces', FRAMES],
    ['in pieces cut anywhere', FRAMES.join('').match(/[^]{1,5000}/g) ?? []],
  ])('is begun at once and completed in slices, %s', async (_name, pieces) => {
    const reader = new BodyReader('auto', 'text/event-stream');
    reader.feed(pieces.join(''));
    const expected = reader.result();
    let looks = 0;
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => {
      looks += 1;
      now += 3;
      return now;
    });
    const body = bodyOf(pieces);
    expect(body.readAtOnce()).toBeUndefined();
    const after = looks;
    expect(after).toBeLessThan(5);
    // Nobody tries it again in the same turn.
    expect(body.readAtOnce()).toBeUndefined();
    expect(looks).toBe(after);
    const reading = await body.readInSlices();
    expect(reading).toEqual(expected);
    expect(body.readAtOnce()).toBe(reading);
    pieces.push(sse({ n: 1, text: 'more' }));
    now = 0;
    expect((await body.readInSlices()).text).toBe(`${expected.text}more`);
  });
});

describe('events that the option keeps', () => {
  afterEach(() => vi.restoreAllMocks());

  it('are parsed in slices too', async () => {
    const parse = vi.spyOn(JSON, 'parse');
    let before = 0;
    let most = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => {
      most = Math.max(most, parse.mock.calls.length - before);
      before = parse.mock.calls.length;
      return 0;
    });
    const reading = await bodyOf([LARGE], { events: true }).readInSlices();
    expect(most).toBeLessThanOrEqual(256);
    const parsed = parse.mock.calls.length;
    expect(parsed).toBeGreaterThan(20_000);
    expect(reading.events).toHaveLength(20_001);
    // Nothing was left to parse.
    expect(parse.mock.calls.length).toBe(parsed);
  });
});

describe('an encoded body', () => {
  it('is read the same at once and in slices', async () => {
    const small = bodyOf([gzipSync(DELTA.repeat(10))], { contentEncoding: 'gzip' });
    expect(small.readAtOnce()).toMatchObject({ text: 'word '.repeat(10) });
    const large = bodyOf([gzipSync(LARGE)], { contentEncoding: 'gzip' });
    expect(large.readAtOnce()).toBeUndefined();
    expect(await large.readInSlices()).toMatchObject({ text: 'word '.repeat(20_000) });
    expect(large.read()).toMatchObject({ text: 'word '.repeat(20_000) });
  });

  it('that cannot be decoded is kept as it is', async () => {
    const bytes = Buffer.from([0x80, 0xff, 0x9c, 0xba]);
    const body = bodyOf([bytes], { contentEncoding: 'compress' });
    const content = contentOf(await body.readInSlices(), opened);
    expect(content).toMatchObject({ text: '', empty: false, unknownText: true });
    expect(content.events).toEqual([{ base64: bytes.toString('base64') }]);
    expect(body.dropped).toBe(4);
  });
});

it.each([
  ['a small body', [DELTA, chatChunk({}, 'stop')], ''],
  ['a large one', [LARGE], ''],
  ['an encoded one', [gzipSync(LARGE)], 'gzip'],
  ['one whose coding came late', [gzipSync(DELTA)], ''],
  ['one of an unknown format', [sse({ reply: ['hm'] })], ''],
])('%s reads the same live and recovered', async (_name, pieces, contentEncoding) => {
  const body = bodyOf(pieces, { contentEncoding });
  const live = contentOf(await body.readInSlices(), opened);
  const journaled = contentEncoding || 'identity';
  const recovered = await readBody({ ...opened, contentEncoding: journaled }, pieces);
  expect(recovered).toEqual({ ...live, droppedBytes: body.dropped });
});

it('a message without text keeps its events', () => {
  const start = sse({ type: 'start', id: 'x' }).repeat(40);
  expect(contentOf(bodyOf([start]).read(), opened)).toMatchObject({
    text: '',
    empty: false,
    events: Array.from({ length: 40 }, () => ({ type: 'start', id: 'x' })),
  });
});

describe('a format that throws when it is inspected', () => {
  const broken = {
    name: 'own',
    get framing(): 'sse' {
      throw new Error('boom');
    },
    finishMarker: 'none',
    terminal: () => false,
    text: () => '',
    carries: () => 'nothing',
  } as const satisfies Format;

  it('is reported once, and its body is kept as text', async () => {
    const errors: unknown[] = [];
    const body = bodyOf(['data: hi\n\n'], {
      format: broken,
      onFormatError: (error) => errors.push(error),
    });
    expect(body.read()).toMatchObject({ text: 'data: hi\n\n', finished: false, empty: false });
    expect(await body.readInSlices()).toMatchObject({ text: 'data: hi\n\n' });
    expect(body.isBroken).toBe(true);
    expect(errors).toEqual([new Error('boom')]);
  });

  it('is reported once, and its body is kept as text, in slices too', async () => {
    const errors: unknown[] = [];
    const body = bodyOf([LARGE], { format: broken, onFormatError: (error) => errors.push(error) });
    expect(await body.readInSlices()).toMatchObject({ text: LARGE });
    expect(body.isBroken).toBe(true);
    expect(errors).toHaveLength(1);
  });
});
