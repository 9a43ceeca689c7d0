/** What the watch tells while chunks pass, and what it keeps. */
import v8 from 'node:v8';
import vm from 'node:vm';
import { describe, expect, it, vi } from 'vitest';
import { TerminalDetector, type Format, type TerminalSignal } from '../../src/formats/index.ts';
import { chatChunk, FAMILIES, line, sse } from '../support/frames.ts';

const SSE = 'text/event-stream';
const NDJSON = 'application/x-ndjson';

function sightings(
  pieces: readonly string[],
  contentType = SSE,
  choice: Format | string = 'auto',
): readonly (TerminalSignal | undefined)[] {
  const watch = new TerminalDetector(choice, contentType);
  return pieces.map((piece) => watch.inspect(piece));
}

describe('the finish marker', () => {
  it.each(FAMILIES)('of $name is detected under auto', (family) => {
    const pieces = [family.delta('one'), family.delta('two'), family.finish];
    expect(sightings(pieces, family.contentType)).toEqual([undefined, undefined, 'finish']);
  });

  it('of any format is detected under auto, whatever format was guessed', () => {
    expect(sightings([chatChunk({ content: 'a' }), sse({ type: 'message_stop' })])).toEqual([
      undefined,
      'finish',
    ]);
    expect(
      sightings(
        [line({ model: 'm', response: 'a', done: false }), line({ type: 'finish' })],
        NDJSON,
      ),
    ).toEqual([undefined, 'finish']);
  });

  it('of another format is ignored if the format is given', () => {
    const pieces = [chatChunk({ content: 'a' }), sse({ type: 'message_stop' }), 'data: [DONE]\n\n'];
    expect(sightings(pieces, SSE, 'openai')).toEqual([undefined, undefined, 'finish']);
    expect(sightings([sse({ type: 'start-step' }), 'data: [DONE]\n\n'], SSE, 'ai-sdk')).toEqual([
      undefined,
      undefined,
    ]);
  });

  it.each([
    [
      'a text about markers',
      chatChunk({ content: 'end with [DONE], "finish_reason":"stop", "done": true' }),
    ],
    ['a null finish reason', chatChunk({ content: 'a' })],
    ['an empty finish reason', chatChunk({ content: 'a' }, '')],
    ['a tool call', chatChunk({}, 'tool_calls')],
    ['a marker in bare text', 'data: then comes [DONE]\n\n'],
    ['a null error', sse({ error: null, text: 'a' })],
    ['a failed tool', sse({ type: 'tool_result', error: 'no such city' })],
    ['a void error', sse({ error: { code: 0 }, text: 'a' })],
    ['"done": false', line({ done: false, text: 'true' })],
  ])('is not detected in %s', (_name, chunk) => {
    expect(sightings([chunk, chunk, chunk])).toEqual([undefined, undefined, undefined]);
    expect(sightings([chunk.slice(0, -20), chunk.slice(-20)])).toEqual([undefined, undefined]);
  });

  it.each(['"finish_reason":"stop"', '"finish_reason": "stop"', '"finish_reason" :\t"length"'])(
    'is detected in %s',
    (member) => {
      expect(sightings([`data: {"choices":[{"delta":{},${member}}]}\n\n`])).toEqual(['finish']);
    },
  );

  it('is detected before the blank line, because a client may act on the line', () => {
    expect(sightings(['data: [DONE]', '\n\n'])).toEqual(['finish', undefined]);
    expect(sightings(['data: [DONE]\n', '\n'])).toEqual(['finish', undefined]);
    expect(sightings([chatChunk({}, 'stop').trimEnd(), '\n', '\n'])).toEqual([
      'finish',
      undefined,
      undefined,
    ]);
    expect(sightings(['{"done":true}', '\n'], NDJSON)).toEqual(['finish', undefined]);
  });

  it('is detected in a payload of several lines, each written by itself', () => {
    const pieces = [
      'data: {"choices":[\n',
      'data: {"delta":{},"finish_reason":"stop"}\n',
      'data: ]}\n\n',
    ];
    expect(sightings(pieces, SSE, 'openai')).toEqual([undefined, undefined, 'finish']);
  });

  it('is detected in such a payload behind other frames too', () => {
    const chunk = `${chatChunk({ content: 'a' })}data: [DONE]`;
    expect(sightings([sse({ text: 'x'.repeat(9_000) }), chunk, '\n\n'])).toEqual([
      undefined,
      'finish',
      undefined,
    ]);
    expect(sightings([chunk, '\n\n'])).toEqual(['finish', undefined]);
  });

  it('is looked for again while its JSON is incomplete', () => {
    const frame = chatChunk({}, 'stop');
    const cut = frame.indexOf('stop') + 2;
    expect(sightings([frame.slice(0, cut), frame.slice(cut, -3), frame.slice(-3)])).toEqual([
      undefined,
      undefined,
      'finish',
    ]);
  });

  it('is reported once per frame', () => {
    expect(sightings([chatChunk({}, 'stop').trimEnd(), '\n\ndata: [DO', 'NE]\n\n'])).toEqual([
      'finish',
      undefined,
      'finish',
    ]);
  });

  it('is detected between other frames of one chunk', () => {
    const chunk =
      chatChunk({ content: 'a' }) +
      chatChunk({}, 'stop') +
      sse({ choices: [], usage: {} }) +
      'data: ';
    expect(sightings([chunk, '[DONE]\n\n'])).toEqual(['finish', 'finish']);
  });

  it('is never detected in plain text', () => {
    expect(sightings(['Hi.\n', 'data: [DONE]\n\n', '{"done":true}\n'], 'text/plain')).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(sightings(['data: [DONE]\n\n'], 'text/markdown')).toEqual([undefined]);
    expect(sightings(['data: [DONE]\n\n'], SSE, 'text')).toEqual([undefined]);
  });

  it('is detected in a body without a content type once its first line shows what it is', () => {
    expect(sightings(['da', 'ta: a\n\nda', 'ta: [DONE]\n\n'], '')).toEqual([
      undefined,
      undefined,
      'finish',
    ]);
    expect(sightings(['{"text":"a"}', '\n{"done":true}\n'], '')).toEqual([undefined, 'finish']);
    expect(sightings(['Hello\n', 'data: [DONE]\n\n'], '')).toEqual([undefined, undefined]);
  });
});

describe('an error frame', () => {
  it.each([
    ['OpenAI', sse({ error: { message: 'Rate limit', code: 429 } })],
    [
      'OpenRouter',
      sse({ error: { message: 'x' }, choices: [{ delta: {}, finish_reason: 'error' }] }),
    ],
    ['Anthropic', sse({ type: 'error', error: { type: 'overloaded_error' } }, 'error')],
    ['Anthropic without its event', sse({ type: 'error', error: { type: 'overloaded_error' } })],
    ['the AI SDK', sse({ type: 'error', errorText: 'An error occurred.' })],
    ['the AI SDK, an abort', sse({ type: 'abort' })],
    ['a finish word', chatChunk({}, 'network_error')],
    ['vLLM', sse({ object: 'error', message: 'EngineDeadError', type: 'InternalServerError' })],
    ['AG-UI', sse({ type: 'RUN_ERROR', message: 'x' })],
    ['Dify', sse({ event: 'error', message: 'x' })],
    ['OpenAI Responses', sse({ type: 'response.failed', response: {} }, 'response.failed')],
    [
      'OpenAI Responses, the other kind',
      sse({ type: 'error', code: 'x', message: 'y', sequence_number: 3 }),
    ],
    ['a home-made stream', sse({ message: 'x' }, 'error')],
    ['a home-made stream of bare text', 'event: error\ndata: it broke\n\n'],
  ])('of %s is detected', (_name, frame) => {
    const watch = new TerminalDetector('auto', SSE);
    expect(watch.inspect(frame)).toBe('error');
    expect(watch).toMatchObject({ errored: true, finished: false });
  });

  it('of Ollama is detected', () => {
    expect(sightings([line({ error: 'model not found' })], NDJSON)).toEqual(['error']);
  });

  it('whose error is known long before its end is reported at its end', () => {
    const frame = sse({ error: { message: 'x'.repeat(300) } });
    const pieces = [frame.slice(0, 50), frame.slice(50, 250), frame.slice(250)];
    expect(sightings(pieces, SSE, 'openai')).toEqual([undefined, undefined, 'error']);
  });

  it('and a finish marker in one chunk: the first one is returned, both are remembered', () => {
    const watch = new TerminalDetector('auto', SSE);
    expect(watch.inspect(sse({ type: 'error', errorText: 'x' }) + sse({ type: 'finish' }))).toBe(
      'error',
    );
    expect(watch).toMatchObject({ errored: true, finished: true });
  });
});

describe('the guess of the format', () => {
  it('is made by the first vendor frame', () => {
    const watch = new TerminalDetector('auto', SSE);
    expect(watch).toMatchObject({ format: 'sse', needsFinish: false });
    watch.inspect(`: hi\n\n${sse({ conversation: 'c' })}`);
    expect(watch.format).toBe('sse');
    watch.inspect(chatChunk({ content: 'a' }));
    expect(watch).toMatchObject({ format: 'openai', needsFinish: true });
    watch.inspect(sse({ type: 'message_stop' }));
    expect(watch.format).toBe('openai');
  });

  it('is given up after 8 Ki characters', () => {
    const watch = new TerminalDetector('auto', SSE);
    watch.inspect(sse({ text: 'x'.repeat(9_000) }));
    watch.inspect(chatChunk({ content: 'a' }));
    expect(watch).toMatchObject({ format: 'sse', needsFinish: false });
  });

  it('is not needed if the format is given', () => {
    expect(new TerminalDetector('anthropic', SSE)).toMatchObject({
      format: 'anthropic',
      needsFinish: true,
    });
    expect(new TerminalDetector('auto', NDJSON)).toMatchObject({
      format: 'ndjson',
      needsFinish: false,
    });
    expect(new TerminalDetector('auto', 'text/plain')).toMatchObject({
      format: 'text',
      needsFinish: false,
    });
  });
});

describe('a custom format', () => {
  const own: Format = {
    name: 'own',
    framing: 'sse',
    finishMarker: 'needed',
    terminal: (frame) => frame.event === 'the.end',
    text: (frame) => frame.data,
    carries: (frame) => (frame.event === 'oh no' ? 'error' : 'content'),
  };
  const pieces = ['data: a\n\n', 'event: the.', 'end\ndata: b\n\n', 'event: oh no\ndata: c\n\n'];

  it('without needles has each chunk parsed', () => {
    expect(sightings(pieces, SSE, own)).toEqual([undefined, undefined, 'finish', 'error']);
  });

  it('with needles has only chunks that contain one of them parsed', () => {
    let asked = 0;
    const frugal: Format = {
      ...own,
      needles: ['the.end', 'oh no'],
      terminal: (frame) => {
        asked += 1;
        return own.terminal(frame);
      },
    };
    expect(sightings(pieces, SSE, frugal)).toEqual([undefined, undefined, 'finish', 'error']);
    expect(asked).toBe(1);
    // A needle is a string: its dot is a dot.
    expect(sightings(['event: theXend\ndata: b\n\n'], SSE, frugal)).toEqual([undefined]);
    expect(asked).toBe(1);
  });

  it('that throws ends no answer and is reported once', () => {
    const errors: unknown[] = [];
    const throwing: Format = {
      ...own,
      terminal: () => {
        throw new Error('boom');
      },
    };
    const watch = new TerminalDetector(throwing, SSE, (error) => errors.push(error));
    expect(pieces.slice(0, 3).map((piece) => watch.inspect(piece))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(errors).toEqual([new Error('boom')]);
  });
});

describe('a frame that does not end', () => {
  it('is neither kept nor searched repeatedly, and the frames behind it are detected', () => {
    v8.setFlagsFromString('--expose-gc');
    const collect: unknown = vm.runInNewContext('gc');
    const used = (): number => {
      if (typeof collect === 'function') collect();
      return process.memoryUsage().heapUsed;
    };
    const watch = new TerminalDetector('auto', SSE);
    watch.inspect('data: {"text":"error" ');
    const before = used();
    for (let index = 0; index < 1_024; index++) {
      watch.inspect(Buffer.alloc(65_536, `${index % 10}]`).toString('latin1'));
    }
    expect(used() - before).toBeLessThan(8 * 1_048_576);
    expect(watch.inspect(`"}\n\n${chatChunk({ content: 'a' })}`)).toBeUndefined();
    expect(watch.inspect('data: [DONE]\n\n')).toBe('finish');
  });

  it('is not parsed at each of its chunks, even if each could be its last', () => {
    const watch = new TerminalDetector('auto', SSE);
    watch.inspect('data: {"error":["');
    for (let index = 0; index < 100_000; index++) watch.inspect('[x]');
    expect(watch.inspect('"]}\n\n')).toBeUndefined();
    expect(watch.inspect(chatChunk({}, 'stop'))).toBe('finish');
  });
});

describe('a large write of many frames', () => {
  const DELTA = sse({ text: 'word ' });
  const LARGE = DELTA.repeat(30_000);
  const STOP = chatChunk({}, 'stop');

  it.each([
    ['at its end', LARGE + STOP, 'finish', true],
    ['at its end, cut', LARGE + STOP.trimEnd(), 'finish', true],
    ['at its beginning, with content behind it', STOP + LARGE, 'finish', false],
    ['in the middle, with content behind it', LARGE + STOP + LARGE, undefined, false],
  ])('may have its finish marker %s', (_name, body, signal, finished) => {
    const watch = new TerminalDetector('auto', SSE);
    expect(watch.inspect(body)).toBe(signal);
    expect(watch.finished).toBe(finished);
    if (finished) return;
    expect(watch.inspect('\n\n')).toBeUndefined();
    expect(watch.inspect(STOP)).toBe('finish');
  });

  it.each([
    ['an error at its beginning', sse({ error: { message: 'x' } }) + LARGE],
    ['an error at its end', LARGE + sse({ error: { message: 'x' } })],
    ['an error behind a finish marker', STOP + DELTA + sse({ error: { message: 'x' } })],
  ])('with %s is reported as an error', (_name, body) => {
    expect(new TerminalDetector('auto', SSE).inspect(body)).toBe('error');
  });

  it.each([
    ['CRLF', LARGE.replaceAll('\n', '\r\n'), STOP.replaceAll('\n', '\r\n'), SSE],
    ['CR', LARGE.replaceAll('\n', '\r'), STOP.replaceAll('\n', '\r'), SSE],
    ['JSON lines', line({ text: 'word ' }).repeat(30_000), line({ done: true }), NDJSON],
  ])('is searched with %s, and so are the chunks behind it', (_name, large, stop, type) => {
    expect(sightings([large + stop, large, stop], type)).toEqual(['finish', undefined, 'finish']);
    for (const cut of [1, 2, 3]) {
      expect(sightings([large + stop.slice(0, cut), stop.slice(cut)], type).at(-1)).toBe('finish');
    }
  });

  it('may end in a large frame, which is recognised by its beginning', () => {
    const completed = `event: response.completed\ndata: {"a":"${'x'.repeat(600_000)}"}\n\n`;
    expect(sightings([LARGE + completed])).toEqual(['finish']);
    expect(sightings([completed])).toEqual(['finish']);
    expect(sightings([`data: ${'x'.repeat(600_000)}`, '\n\n', STOP])).toEqual([
      undefined,
      undefined,
      'finish',
    ]);
  });

  it('of JSON values is searched only at its beginning', () => {
    const element = '{"text":"a"}';
    const detector = new TerminalDetector('auto', 'application/json');
    expect(detector.inspect(`[${element},${element.repeat(30_000)}`)).toBeUndefined();
    expect(detector.inspect('{"done":true}]')).toBeUndefined();
    expect(detector.finished).toBe(false);
  });

  it('has its format guessed from its first 8 Ki characters', () => {
    const parse = vi.spyOn(JSON, 'parse');
    new TerminalDetector('auto', SSE).inspect(DELTA.repeat(10_000));
    expect(parse.mock.calls.length).toBeLessThan(1_000);
    parse.mockRestore();
  });

  it.each([
    ['frames that may be ends', sse({ error: { code: 0 }, n: 1 }).repeat(8_000)],
    ['frames behind an end', STOP + sse({ usage: 1 }).repeat(8_000)],
  ])('with %s has only the first and the last of them parsed', (_name, body) => {
    const parse = vi.spyOn(JSON, 'parse');
    expect(new TerminalDetector('openai', SSE).inspect(body + STOP)).toBe('finish');
    expect(parse.mock.calls.length).toBeLessThanOrEqual(2 * 1_024);
    parse.mockRestore();
  });

  it('has a custom format called for the first and the last frames only', () => {
    let asked = 0;
    const own: Format = {
      name: 'own',
      framing: 'ndjson',
      finishMarker: 'needed',
      terminal: ({ data }) => {
        asked += 1;
        return data === 'end';
      },
      text: () => '',
      carries: () => 'nothing',
    };
    const detector = new TerminalDetector(own, NDJSON);
    expect(detector.inspect(`${'x\n'.repeat(100_000)}end\n`)).toBe('finish');
    expect(asked).toBeLessThanOrEqual(2 * 1_024);
  });
});
