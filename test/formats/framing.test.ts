/** How a body is framed, whatever it is called; the same however it is cut. */
import { describe, expect, it } from 'vitest';
import { BodyReader, isVendorAnswer, TerminalDetector } from '../../src/formats/index.ts';
import { ElementScanner } from '../../src/formats/elements.ts';
import { LineEnds } from '../../src/formats/framing.ts';

const SIZES = [1, 2, 3, 5, 17, 64, 1_000_000];

function cut(body: string, size: number): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < body.length; at += size) pieces.push(body.slice(at, at + size));
  return pieces;
}

describe.each([
  ['SSE as plain text', 'text/plain', 'data: {"text":"a"}\n\ndata: {"text":"b"}\n\n', 'sse', 'ab'],
  ['JSON lines as SSE', 'text/event-stream', '{"text":"a"}\n{"text":"b"}\n', 'ndjson', 'ab'],
  ['SSE as NDJSON', 'application/x-ndjson', 'data: {"text":"a"}\n\n', 'sse', 'a'],
  ['text as SSE', 'text/event-stream', 'Hello.\n\nid: x\n: y\n', 'text', 'Hello.\n\nid: x\n: y\n'],
  [
    'objects without line ends',
    'text/plain',
    '{"text":"a"}{"text":"b"}{"done":true}',
    'ndjson',
    'ab',
  ],
  [
    'objects in NDJSON without line ends',
    'application/x-ndjson',
    '{"text":"a"}{"text":"b"}',
    'ndjson',
    'ab',
  ],
  [
    'an indented array',
    'application/json',
    '[\n {"text": "a}"},\n {"text": "[b"}\n]',
    'ndjson',
    'a}[b',
  ],
  [
    'parts of the AI SDK',
    'text/plain',
    'f:{"messageId":"m"}\n0:"a"\n0:"b"\nd:{"finishReason":"stop"}\n',
    'ai-sdk-data',
    'ab',
  ],
  ['a text of JSON', 'text/plain', '{"city":"Oslo"}', 'text', '{"city":"Oslo"}'],
  ['a text that begins like a part', 'text/plain', '0: zero\n1: one', 'text', '0: zero\n1: one'],
  ['a text that begins with a bracket', '', '[1] a source', 'text', '[1] a source'],
])('%s', (...[, type, body, format, text]) => {
  it.each(SIZES)('is read in pieces of %i', (size) => {
    const reader = new BodyReader('auto', type);
    for (const piece of cut(body, size)) {
      reader.feed(piece);
      reader.result();
    }
    expect(reader.result()).toMatchObject({ format, text, unknownText: false });
  });
});

it('detects the end of objects without line ends and of parts', () => {
  const ends = [
    ['text/plain', '{"text":"a"}{"text":"b"}{"done":true}'],
    ['text/plain', '0:"a"\n0:"b"\nd:{"finishReason":"stop"}\n'],
    [
      'application/json',
      '[{"candidates":[{"content":{"parts":[{"text":"a"}]}}]},{"candidates":[{"finishReason":"STOP"}]}]',
    ],
  ] as const;
  for (const [type, body] of ends) {
    for (const size of SIZES) {
      const detector = new TerminalDetector('auto', type);
      const signals = cut(body, size).map((piece) => detector.inspect(piece));
      expect(
        signals.filter((one) => one !== undefined),
        `${body} by ${size}`,
      ).toEqual(['finish']);
    }
  }
});

describe('the scanner of JSON elements', () => {
  it.each([
    ['[1, "a,]", {"b":[2]}, null]', ['1', '"a,]"', '{"b":[2]}', 'null']],
    ['{"a":"\\"}{"}\n{"b":1}', ['{"a":"\\"}{"}', '{"b":1}']],
    ['{"a":"cut\n{"b":1}', ['{"a":"cut', '{"b":1}']],
    ['hello\n{"a":1} bye\n', ['hello', '{"a":1}', 'bye']],
    ['[[1],[2]]\n[3]', ['[1]', '[2]', '3']],
  ])('finds those of %j wherever it is cut', (body, elements) => {
    for (const size of SIZES) {
      const scanner = new ElementScanner();
      const found = cut(body, size).flatMap((piece) => scanner.feed(piece));
      expect([...found.map((one) => one.trim()), scanner.tail], `by ${size}`).toEqual([
        ...elements,
        '',
      ]);
    }
  });
});

it('turns every line end into LF, wherever the text is cut', () => {
  const body = 'a\rb\r\nc\nd\r\r\ne\n\r';
  for (const size of SIZES) {
    const ends = new LineEnds();
    const text = cut(body, size)
      .map((piece) => ends.normalise(piece))
      .join('');
    expect(text).toBe('a\nb\nc\nd\n\ne\n\n');
  }
});

describe('a whole JSON answer', () => {
  it.each([
    [
      'OpenAI',
      {
        object: 'chat.completion',
        choices: [{ message: { content: 'a' }, finish_reason: 'stop' }],
      },
    ],
    [
      'Anthropic',
      {
        type: 'message',
        role: 'assistant',
        content: [{ type: 'text', text: 'a' }],
        stop_reason: 'end_turn',
      },
    ],
    ['Gemini', { candidates: [{ content: { parts: [{ text: 'a' }] }, finishReason: 'STOP' }] }],
    ['Responses', { object: 'response', status: 'completed', output: [] }],
    ['Ollama', { model: 'm', response: 'a', done: true }],
  ])('is recognised in %s', (_name, answer) => {
    expect(isVendorAnswer(JSON.stringify(answer))).toBe(true);
    expect(isVendorAnswer(JSON.stringify(answer, undefined, 2))).toBe(true);
  });

  it.each([
    '{"error":{"message":"no choices"}}',
    '{"choices":["a","b"]}',
    '{"content":"hi"}',
    '[]',
    'choices',
    '{"items":[{"id":1}],"done":true}',
    '{"choices":',
  ])('is not recognised in %j', (body) => {
    expect(isVendorAnswer(body)).toBe(false);
  });
});
