/** Frames that are too large to be parsed: kept as they are, told, known by their beginning; and those that only look large. */
import { describe, expect, it, vi } from 'vitest';
import { BodyReader, type BodyReading } from '../../src/formats/index.ts';
import { FrameSize, isTooLarge } from '../../src/formats/large-frame.ts';
import { chatChunk, sse } from '../support/frames.ts';

const SSE = 'text/event-stream';
const MANY = `[${'1,'.repeat(60_000)}1]`;
const IMAGE = 'iVBORw0KGgo'.repeat(300_000);

function read(body: string, contentType = SSE, size = body.length): BodyReading {
  const reader = new BodyReader('auto', contentType);
  for (let at = 0; at < body.length; at += size) reader.feed(body.slice(at, at + size));
  return reader.result();
}

describe('the size limit of a frame', () => {
  it.each([
    ['many values', MANY, true],
    ['many brackets', '['.repeat(60_000), true],
    ['many lines', 'data:x\n'.repeat(60_000), true],
    ['a text without end', `"${'x'.repeat(9_000_000)}"`, true],
    ['an image', `{"data":"${IMAGE}"}`, false],
    [
      'a long text with commas, quotes and brackets in it',
      `"${'[1], {\\"a\\": 2}, '.repeat(60_000)}"`,
      false,
    ],
    ['a small frame of brackets', '['.repeat(16_000), false],
  ])('is checked for %s', (_name, frame, large) => {
    expect(isTooLarge(frame)).toBe(large);
  });

  it('gives the same result wherever the frame is cut', () => {
    const frame = `data: {"a":"${'\\\\\\"x,[\\'.repeat(3_000)}\\",\n${'data: {"b":[1,2],"c":"\\\\"}\n"'.repeat(2_000)}`;
    const whole = new FrameSize();
    whole.feed(frame);
    for (const size of [1, 7, 1_000]) {
      const pieces = new FrameSize();
      for (let at = 0; at < frame.length; at += size) pieces.feed(frame.slice(at, at + size));
      expect(pieces).toEqual(whole);
    }
    expect(whole.isTooLarge).toBe(false);
  });
});

describe('a frame that is too large', () => {
  const large = `data: {"type":"x","values":${MANY}}\n\n`;

  it.each([
    ['an event stream', SSE, [sse({ text: 'a' }), large, sse({ text: 'b' })]],
    ['JSON lines', 'application/x-ndjson', ['{"text":"a"}\n', `${MANY}\n`, '{"text":"b"}\n']],
    ['JSON values', 'application/json', ['{"text":"a"}', `{"v":${MANY}}`, '{"text":"b"}']],
  ])('with %s is kept as it is and reported, and nothing else is lost', (_name, type, frames) => {
    const body = frames.join('');
    const reading = read(body, type);
    expect(reading).toMatchObject({ text: 'ab', unknownText: true, empty: false });
    expect(reading.events).toEqual([{ text: 'a' }, expect.stringContaining(MANY), { text: 'b' }]);
    for (const size of [1_000, 70_000]) expect(read(body, type, size)).toEqual(reading);
  });

  it('is not parsed, and makes no template', () => {
    const parse = vi.spyOn(JSON, 'parse');
    read(large + large);
    expect(parse.mock.calls.filter(([text]) => text.length > 16_384)).toEqual([]);
    parse.mockRestore();
  });

  it('is not parsed at the end of the body either', () => {
    const parse = vi.spyOn(JSON, 'parse');
    const reading = read(chatChunk({ content: 'a' }) + large.trimEnd());
    expect(parse.mock.calls.filter(([text]) => text.length > 16_384)).toEqual([]);
    parse.mockRestore();
    expect(reading).toMatchObject({ text: 'a', unknownText: true, finished: false });
    expect(String(reading.events.at(-1))).toContain(MANY);
  });

  it.each([
    [
      'an end',
      `event: response.completed\ndata: {"a":${MANY}}\n\n`,
      { finished: true, errorFrame: false },
    ],
    [
      'a failure',
      `data: {"type":"response.failed","a":${MANY}}\n\n`,
      { finished: false, errorFrame: true },
    ],
    ['content behind an end', large, { finished: false, errorFrame: false }],
  ])('is recognised by its beginning as %s', (_name, frame, says) => {
    const body = chatChunk({ content: 'a' }) + chatChunk({}, 'stop') + frame;
    expect(read(body)).toMatchObject(says);
    expect(read(body, SSE, 1_024)).toMatchObject(says);
  });
});

it('reads an image of 3 MB, and the end behind it', () => {
  const frame = sse({
    candidates: [
      {
        content: { parts: [{ inlineData: { mimeType: 'image/png', data: IMAGE } }] },
        finishReason: 'STOP',
      },
    ],
  });
  expect(read(frame, SSE, 1_024)).toMatchObject({
    finished: true,
    unknownText: false,
    wordless: true,
  });
});
