/** What is the text of an answer: snapshots, primitives, repeats, and where the last word takes an end back. */
import { describe, expect, it } from 'vitest';
import { BodyReader, type BodyReading, TerminalDetector } from '../../src/formats/index.ts';
import { chatChunk, line, sse } from '../support/frames.ts';

const SSE = 'text/event-stream';

function read(body: string, type = SSE, size = body.length): BodyReading {
  const reader = new BodyReader('auto', type);
  for (let at = 0; at < body.length; at += size) reader.feed(body.slice(at, at + size));
  return reader.result();
}

function frames(...payloads: readonly unknown[]): string {
  return payloads.map((one) => sse(one)).join('');
}

describe('payloads that are primitives', () => {
  it.each([
    ['numbers', 'data: 0.005\n\ndata: 10\n\ndata: 1e5\n\n', '0.005101e5'],
    [
      'words of JSON',
      'data: It is \n\ndata: true\n\ndata: , or \n\ndata: null\n\n',
      'It is true, or null',
    ],
    ['quotes among bare text', 'data: Say \n\ndata: "six"\n\n', 'Say "six"'],
    ['JSON strings', 'data: "Say "\n\ndata: "six"\n\n', 'Say six'],
    ['a number among JSON strings', 'data: "a"\n\ndata: 5\n\n', 'a5'],
    ['bare text behind JSON strings', 'data: "a"\n\ndata: b\n\n', '"a"b'],
  ])('are their own text: %s', (_name, body, text) => {
    for (const size of [1, 7, body.length]) {
      expect(read(body, SSE, size)).toMatchObject({ text, unknownText: false });
    }
  });

  it('are not text among objects, and are kept', () => {
    expect(read(frames({ text: 'a' }, 5))).toMatchObject({ text: 'a', unknownText: true });
  });

  it('are written in digits where a format has text', () => {
    expect(read(frames({ response: 'a' }, { response: 42 })).text).toBe('a42');
    expect(read(chatChunk({ content: 42 })).text).toBe('42');
  });
});

describe('snapshots', () => {
  const texts = ['It is', 'It is five', 'It is five degrees'];

  it('replace each other, so that the last one is the text', () => {
    expect(read(frames(...texts.map((text) => ({ text }))))).toMatchObject({
      text: texts[2],
      unknownText: false,
    });
    expect(read(texts.map((text) => line({ text })).join(''), 'application/x-ndjson').text).toBe(
      texts[2],
    );
  });

  it.each([
    [['ha', 'ha', 'ha'], 'hahaha'],
    [['a', 'b', 'ab', 'c'], 'abababc'.slice(0, 2) + 'abc'],
    [['1', '10', '2'], '1102'],
    [[' ', ' ', ' '], '   '],
  ])('are not assumed in deltas %j', (deltas, text) => {
    expect(read(frames(...deltas.map((delta) => ({ text: delta })))).text).toBe(text);
  });

  it('that could be deltas keep their events', () => {
    expect(read(frames({ text: 'a' }, { text: 'ab' }))).toMatchObject({
      text: 'aab',
      wordless: true,
    });
  });

  it('at the end, equal to the text so far, add nothing', () => {
    expect(
      read(frames({ text: 'It ' }, { text: 'is' }, { done: true, text: 'It is' })),
    ).toMatchObject({
      text: 'It is',
      unknownText: false,
    });
  });
});

describe('the end of a stream', () => {
  const text = chatChunk({ content: 'a' });
  const stop = chatChunk({}, 'stop');

  it.each([
    ['content behind the marker', [text, stop, text], false],
    ['a second marker', [text, stop, text, stop], true],
    [
      'usage behind the marker',
      [text, stop, sse({ choices: [], usage: { total_tokens: 1 } })],
      true,
    ],
    ['a call behind the marker', [text, stop, chatChunk({ tool_calls: [{ id: 'x' }] })], false],
  ])('is decided by its last frame: %s', (_name, pieces, finished) => {
    expect(read(pieces.join('')).finished).toBe(finished);
    const detector = new TerminalDetector('auto', SSE);
    for (const piece of pieces) detector.inspect(piece);
    // A tool call behind the marker is looked for when the body is read, not while it passes.
    expect(detector.finished).toBe(finished || pieces.join('').includes('tool_calls'));
  });

  it('is whole with tool_calls as its finish reason and no call in that frame', () => {
    const calls = chatChunk({}, 'tool_calls');
    expect(read(text + calls).finished).toBe(true);
    expect(read(text + calls + text).finished).toBe(false);
    expect(new TerminalDetector('auto', SSE).inspect(text + calls)).toBeUndefined();
  });
});

describe('an upstream failure', () => {
  it.each([
    ['a finish word', chatChunk({}, 'network_error')],
    ['an aborted run', chatChunk({}, 'abort')],
    ['Gemini', sse({ candidates: [{ content: {}, finishReason: 'MALFORMED_FUNCTION_CALL' }] })],
    ['the AI SDK', sse({ type: 'start-step' }) + sse({ type: 'finish', finishReason: 'error' })],
    ['vLLM', chatChunk({ content: 'a' }) + sse({ object: 'error', message: 'x', type: 'T' })],
  ])('is recognised in %s', (_name, body) => {
    expect(read(body)).toMatchObject({ errorFrame: true, finished: false, empty: false });
  });

  it.each([
    ['length', chatChunk({}, 'length')],
    ['content_filter', chatChunk({}, 'content_filter')],
    ['SAFETY', sse({ candidates: [{ finishReason: 'SAFETY' }] })],
    ['a void error', sse({ text: 'a', error: {} }) + sse({ error: { code: 0 }, done: true })],
    ['a null error', sse({ text: 'a', error: null }) + sse({ done: true })],
    ['a tool that failed', sse({ type: 'tool_result', error: 'no' }) + sse({ done: true })],
  ])('is not recognised in %s', (_name, body) => {
    expect(read(body)).toMatchObject({ errorFrame: false, finished: true });
  });
});

describe('a large terminal frame', () => {
  const fill = 'x'.repeat(400_000);
  const cases: readonly (readonly [string, string, 'finish' | 'error' | undefined])[] = [
    ['by its event', `event: response.completed\ndata: {"a":"${fill}"}\n\n`, 'finish'],
    ['by its type', `data: {"type":"response.failed","a":"${fill}"}\n\n`, 'error'],
    ['not at all by its text', `data: {"text":"${fill} finish_reason\\":\\"stop"}\n\n`, undefined],
  ];

  it.each(cases)('is recognised %s, in one piece or in many', (_name, frame, signal) => {
    expect(new TerminalDetector('auto', SSE).inspect(frame)).toBe(signal);
    const detector = new TerminalDetector('auto', SSE);
    const signals: unknown[] = [];
    for (let at = 0; at < frame.length; at += 4_000) {
      signals.push(detector.inspect(frame.slice(at, at + 4_000)));
    }
    expect(signals.filter((one) => one !== undefined)).toEqual(
      signal === undefined ? [] : [signal],
    );
    expect(detector.inspect(chatChunk({}, 'stop'))).toBe('finish');
  });
});
