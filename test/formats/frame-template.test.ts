/** A frame that is like the one before it is not parsed; what it says must be what parsing would have found. */
import { describe, expect, it } from 'vitest';
import { TerminalDetector, BodyReader } from '../../src/formats/index.ts';
import { chatChunk, FAMILIES, type Family } from '../support/frames.ts';

/** Deltas that look like the end of their string, of their frame or of the answer, or are cut where it hurts. */
const DELTAS = [
  'plain',
  ' words',
  '',
  '"',
  '\\',
  '\\"',
  'a "quoted" word',
  'C:\\new\\table',
  '\\u0041',
  '\n',
  '\r\n\r\n',
  'a\n\ndata: [DONE]\n\n',
  '[DONE]',
  'finish_reason":"stop"',
  '{"error":{"message":"no"}}',
  '\u0000\u001f\u007f',
  '\u2028\u2029',
  'Grüße, 世界 😀',
  '\ud83d',
  '\ude00',
  '}',
  ' words',
];

/** Twice, so that each comes behind a frame that has shown what the next may look like. */
function deltasOf({ name }: Family): string[] {
  // Where the whole payload is a string, this one is the end.
  const deltas = DELTAS.filter((delta) => name !== 'generic SSE' || delta !== '[DONE]');
  return [...deltas, ...deltas];
}

function framesOf(family: Family): string[] {
  return deltasOf(family).map(family.delta);
}

function textOf(pieces: readonly string[], { contentType }: Family): string {
  const reading = new BodyReader('auto', contentType);
  for (const piece of pieces) reading.feed(piece);
  return reading.result().text;
}

describe.each(FAMILIES.map((family) => [family.name, family] as const))('%s', (_name, family) => {
  it('reads the same text frame by frame as in one piece', () => {
    const frames = framesOf(family);
    expect(textOf(frames, family)).toBe(textOf([frames.join('')], family));
    expect(textOf(frames, family)).toBe(deltasOf(family).join(''));
  });

  it('keeps the same events frame by frame as in one piece', () => {
    const [one, whole] = [0, 1].map((joined) => {
      const reading = new BodyReader('auto', family.contentType);
      const frames = framesOf(family);
      for (const piece of joined === 1 ? [frames.join('')] : frames) reading.feed(piece);
      return reading.result().events;
    });
    expect(one).toEqual(whole);
  });

  it('reads the same with the template of the terminal detector', () => {
    const frames = [...framesOf(family), family.finish];
    const watch = new TerminalDetector('auto', family.contentType);
    const fitted = frames.map((piece) => {
      watch.inspect(piece);
      return watch.fitted;
    });
    const reading = new BodyReader('auto', family.contentType, undefined, watch.template);
    for (const [at, piece] of frames.entries()) reading.feed(piece, fitted[at]);
    const plain = new BodyReader('auto', family.contentType);
    for (const piece of frames) plain.feed(piece);
    expect(reading.result()).toEqual(plain.result());
  });

  it('detects no end in any text, and detects the end in its own frame', () => {
    const watch = new TerminalDetector('auto', family.contentType);
    for (const frame of framesOf(family)) expect(watch.inspect(frame)).toBeUndefined();
    expect(watch.inspect(family.finish)).toBe('finish');
  });

  it('detects the same in frames that come in one chunk', () => {
    const frames = framesOf(family);
    const watch = new TerminalDetector('auto', family.contentType);
    expect(watch.inspect(frames.join(''))).toBeUndefined();
    expect(watch.inspect([...frames, family.finish, ...frames].join(''))).toBe('finish');
  });
});

it('the template of one format does not change what the reader of another format reads', () => {
  const frames = DELTAS.map((content) => chatChunk({ content }));
  const watch = new TerminalDetector('openai', 'text/event-stream');
  for (const piece of frames) watch.inspect(piece);
  expect(watch.template).toBeDefined();
  const [misled, plain] = [watch.template, undefined].map((known) => {
    const reading = new BodyReader('sse', 'text/event-stream', undefined, known);
    for (const piece of frames) reading.feed(piece, true);
    return reading.result();
  });
  expect(misled).toEqual(plain);
});

it('a frame with a text and a part of a tool call is no template', () => {
  const call = { index: 0, function: { arguments: 'x' } };
  // In the last one the text is also that of the call.
  for (const content of ['some', ' words', 'x']) {
    const watch = new TerminalDetector('openai', 'text/event-stream');
    watch.inspect(chatChunk({ role: 'assistant' }));
    watch.inspect(chatChunk({ content, tool_calls: [call] }));
    expect(watch.template).toBeUndefined();
    watch.inspect(chatChunk({ content }));
    expect(watch.template).toBeDefined();
  }
});

describe('a frame that only resembles the one before it', () => {
  const [before, behind] = chatChunk({ content: '|' }).split('|');

  /** After enough frames to know one by its looks. */
  function follow(frame: string) {
    const watch = new TerminalDetector('auto', 'text/event-stream');
    const reading = new BodyReader('auto', 'text/event-stream');
    for (const piece of [...DELTAS.slice(0, 2).map((content) => chatChunk({ content })), frame]) {
      reading.feed(piece);
      watch.inspect(piece);
    }
    return { watch, reading: reading.result() };
  }

  it('ends the answer if a quote ends its text and a finish marker follows', () => {
    const inside = 'x"},"finish_reason":"stop"},{"index":1,"delta":{"content":"y';
    const { watch, reading } = follow(`${before}${inside}${behind}`);
    expect(watch.finished).toBe(true);
    expect(reading).toMatchObject({ finished: true, text: 'plain wordsx' });
  });

  it('ends the answer if a line end ends its frame and the marker follows', () => {
    const inside = 'x"},"finish_reason":null}]}\n\ndata: [DONE]\n\ndata: {"a":[{"b":{"c":"';
    const { watch, reading } = follow(`${before}${inside}${behind}`);
    expect(watch.finished).toBe(true);
    expect(reading).toMatchObject({ finished: true, text: 'plain wordsx' });
  });

  it('adds no text if an escape in it is invalid', () => {
    const { reading } = follow(`${before}${String.raw`\x41`}${behind}`);
    expect(reading).toMatchObject({ text: 'plain words', unknownText: true });
  });
});
