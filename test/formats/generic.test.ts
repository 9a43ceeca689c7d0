/** The streams of nobody in particular: named events, LangServe's, sequences and arrays of JSON. */
import { describe, expect, it } from 'vitest';
import { TerminalDetector, BodyReader } from '../../src/formats/index.ts';

const SSE = 'text/event-stream';

function read(body: string, contentType: string, format = 'auto', size = body.length) {
  const reading = new BodyReader(format, contentType);
  for (let at = 0; at < body.length; at += size) reading.feed(body.slice(at, at + size));
  return reading.result();
}

/** What has been written when the finish marker is seen. */
function markerIn(body: string, contentType: string, format = 'auto'): string | undefined {
  const watch = new TerminalDetector(format, contentType);
  for (let at = 1; at <= body.length; at += 1) {
    if (watch.inspect(body.slice(at - 1, at)) === 'finish') return body.slice(0, at);
  }
  return undefined;
}

describe('LangServe', () => {
  const events = [
    'event: metadata\ndata: {"run_id": "0b5f-17"}',
    'event: data\ndata: {"content":"It ","type":"AIMessageChunk","additional_kwargs":{}}',
    'event: data\ndata: "is"',
    'event: end',
  ];

  it.each(['\n', '\r\n'])(
    'is read with %j, and its event "end" without data is its finish marker',
    (newline) => {
      const body = events.map((event) => `${event.replaceAll('\n', newline)}${newline}${newline}`);
      for (const size of [1, 2, 7, 1000]) {
        expect(read(body.join(''), SSE, 'auto', size)).toMatchObject({
          format: 'sse',
          text: 'It is',
          finished: true,
          unknownText: false,
        });
      }
      expect(markerIn(body.join(''), SSE)?.trimEnd().endsWith('event: end')).toBe(true);
    },
  );

  it('has failed after an event named error', () => {
    const failed = 'event: error\ndata: {"status_code": 500, "message": "Internal"}\n\n';
    expect(read(failed, SSE)).toMatchObject({ errorFrame: true, finished: false });
  });
});

describe('a stream whose writer encodes every value as JSON, as better-sse does,', () => {
  const body = 'data: "It "\n\ndata: "is"\n\ndata: "[DONE]"\n\n';

  it.each(['auto', 'sse'])(
    'ends by "[DONE]" in quotes, which adds no text, with format %s',
    (format) => {
      for (const size of [1, 2, 7, 12, 1000]) {
        expect(read(body, SSE, format, size)).toMatchObject({ text: 'It is', finished: true });
      }
      expect(markerIn(body, SSE, format)?.endsWith('"[DONE]"')).toBe(true);
    },
  );

  it('ends the same if every frame is a chunk of its own', () => {
    const reading = new BodyReader('auto', SSE);
    const watch = new TerminalDetector('auto', SSE);
    const frames = body.split(/(?<=\n\n)/);
    for (const frame of frames) reading.feed(frame);
    expect(reading.result()).toMatchObject({ text: 'It is', finished: true, unknownText: false });
    expect(frames.map((frame) => watch.inspect(frame))).toEqual([undefined, undefined, 'finish']);
  });

  it('may contain the marker in its text', () => {
    const talk = 'data: "then "\n\ndata: "comes "\n\ndata: "[DONE], quoted"\n\n';
    expect(read(talk, SSE)).toMatchObject({ text: 'then comes [DONE], quoted', finished: false });
    expect(markerIn(talk, SSE)).toBeUndefined();
  });
});

describe('named events', () => {
  it('named done and end finish a stream, whatever data they have', () => {
    expect(read('data: "hi"\n\nevent: done\ndata: {}\n\n', SSE)).toMatchObject({
      text: 'hi',
      finished: true,
      unknownText: false,
    });
  });

  it('named done with an answer in their data are content as well', () => {
    const body = 'event: done\ndata: {"answer": {"words": ["It", "is"]}}\n\n';
    expect(read(body, SSE)).toMatchObject({ finished: true, empty: false, unknownText: true });
  });

  it('are not recognised in the words of a text', () => {
    expect(read('data: "event: end"\n\n', SSE)).toMatchObject({ finished: false });
  });
});

describe('a JSON text sequence', () => {
  it('is read as lines behind record separators', () => {
    const body = ['{"content":"It "}', '{"content":"is"}', '{"done":true}']
      .map((text) => `\u001e${text}\n`)
      .join('');
    for (const size of [1, 3, 1000]) {
      expect(read(body, 'application/json-seq', 'auto', size)).toMatchObject({
        text: 'It is',
        finished: true,
        unknownText: false,
      });
    }
  });
});

describe('a JSON array of Gemini', () => {
  const part = (text: string, rest: object = {}): object => ({
    candidates: [{ content: { parts: [{ text }], role: 'model' }, ...rest }],
    usageMetadata: { totalTokenCount: 3 },
  });
  const answer = [part('It '), part('is "}\n{" '), part('5.', { finishReason: 'STOP' })];
  /** As the API writes it. */
  const pretty = `[${answer.map((one) => JSON.stringify(one, undefined, 2)).join('\n,\r\n')}\n]\n`;

  it.each([1, 2, 3, 5, 64, 10_000])('is read in pieces of %i', (size) => {
    expect(read(pretty, 'application/json', 'gemini', size)).toMatchObject({
      format: 'gemini',
      text: 'It is "}\n{" 5.',
      finished: true,
      unknownText: false,
      finishReason: 'STOP',
    });
  });

  it('is read if it is not indented', () => {
    const compact = JSON.stringify(answer);
    expect(read(compact, 'application/json', 'gemini', 9)).toMatchObject({ finished: true });
    expect(markerIn(compact, 'application/json', 'gemini')).toBeDefined();
  });

  it('has its finish marker before its closing bracket', () => {
    expect(markerIn(pretty, 'application/json', 'gemini')?.trimEnd().endsWith('}')).toBe(true);
  });

  it('cut in the middle keeps its whole elements, and the rest in the events', () => {
    const cut = pretty.slice(0, pretty.indexOf('5.'));
    expect(read(cut, 'application/json', 'gemini', 50)).toMatchObject({
      text: 'It is "}\n{" ',
      finished: false,
      unknownText: true,
    });
  });
});
