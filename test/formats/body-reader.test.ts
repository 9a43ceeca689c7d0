/** What a body says: its text, whether it is whole, and that nothing unknown is ever taken for nothing. */
import { describe, expect, it } from 'vitest';
import { type BodyReading, BodyReader, type Format } from '../../src/formats/index.ts';
import { chatChunk, line, sse } from '../support/frames.ts';

const SSE = 'text/event-stream';
const NDJSON = 'application/x-ndjson';

function read(body: string, contentType = SSE, format: Format | string = 'auto'): BodyReading {
  const reading = new BodyReader(format, contentType);
  reading.feed(body);
  return reading.result();
}

describe('the text', () => {
  it('of 4 000 deltas with Unicode at the end is exact', () => {
    const words = Array.from({ length: 4_000 }, (_, index) => ` w${index}`);
    const answer = `${words.join('')} 世界 👩‍👩‍👧 é\u0301`;
    const deltas = [...words, ' 世界', ' 👩‍👩‍👧', ' é\u0301'].map((content) => chatChunk({ content }));
    const reading = new BodyReader('auto', SSE);
    for (const delta of deltas) reading.feed(delta);
    expect(reading.result()).toMatchObject({ text: answer, finished: false, unknownText: false });
    expect(reading.result().events).toHaveLength(4_003);
  });

  it('joins an emoji whose surrogate halves come in two deltas', () => {
    const half = (unit: string): string =>
      `data: {"choices":[{"delta":{"content":"${unit}"}}]}\n\n`;
    expect(read(half(String.raw`\ud83d`) + half(String.raw`\ude00`)).text).toBe('😀');
  });

  it('keeps a NUL and half an emoji as they came, for the store to replace', () => {
    expect(read(sse({ text: 'a\u0000b\ud83d' })).text).toBe('a\u0000b\ud83d');
  });

  it('does not contain a byte order mark', () => {
    expect(read(`\ufeff${sse({ text: 'hi' })}`)).toMatchObject({ text: 'hi', unknownText: false });
  });
});

describe('emptiness of a body', () => {
  it.each([
    ['an empty body', ''],
    ['comments', ': ping\n\n: ping\n\n'],
    ['settings', 'retry: 3000\nid: 7\n\n'],
    ['an event without data', 'event: ping\n\n'],
    ['a heartbeat event', 'event: heartbeat\ndata: {"at":1}\n\n'],
    ['empty data', 'data:\n\n'],
    ['a role', chatChunk({ role: 'assistant', content: '' })],
    [
      'a role and usage',
      chatChunk({ role: 'assistant' }) + sse({ choices: [], usage: { total_tokens: 1 } }),
    ],
    ['a start and a finish', chatChunk({}, 'stop')],
    ['[DONE]', 'data: [DONE]\n\n'],
    ['a done object', sse({ done: true, messageId: 'm', tokens: 4 })],
    ['the start of an AI SDK stream', sse({ type: 'start' }) + sse({ type: 'start-step' })],
    ['a start frame that only the AI SDK sends', sse({ type: 'start' })],
    ['a ping', sse({ type: 'ping' }, 'ping')],
    ['an empty object', sse({})],
  ])('%s carries nothing', (_name, body) => {
    expect(read(body)).toMatchObject({
      empty: true,
      text: '',
      unknownText: false,
      errorFrame: false,
    });
  });

  it.each([
    ['a payload of another shape', sse({ reply: 'It is 42' })],
    ['an array', sse(['It is 42'])],
    ['a number among objects', sse({ type: 'start' }) + sse(42)],
    ['null among objects', sse({ type: 'start' }) + sse(null)],
    ['a done object with words in it', sse({ done: true, reply: 'It is 42' })],
    ['a name in words', sse({ type: 'It is 42' })],
    ['a number without a text', sse({ price: 42 })],
    ['an OpenAI chunk with a new kind of delta', chatChunk({ hologram: 'It is 42' })],
    ['OpenAI content that is no string', chatChunk({ content: [{ text: 'It is 42' }] })],
    [
      'an AI SDK chunk of a new type',
      sse({ type: 'start-step' }) + sse({ type: 'text-burst', burst: 'It is 42' }),
    ],
    [
      'an Anthropic delta of a new type',
      sse({ type: 'content_block_delta', delta: { type: 'burst', burst: 'It' } }),
    ],
    ['half a payload', 'data: {"choices":[{"delta":{"content":"It is'],
  ])('%s is unknown, kept, and never empty', (_name, body) => {
    const reading = read(body);
    expect(reading).toMatchObject({ empty: false, unknownText: true, text: '' });
    expect(reading.events.length).toBeGreaterThan(0);
  });

  it('a payload that is null is kept', () => {
    expect(read(sse({ type: 'start' }) + sse(null)).events).toEqual([{ type: 'start' }, null]);
  });

  it('an NDJSON answer whose payloads change their shape is kept and not empty', () => {
    const body =
      line({ model: 'm', message: { role: 'assistant', content: '' }, done: false }) +
      line({ out: 'hi' });
    expect(read(body, NDJSON)).toMatchObject({
      format: 'ollama',
      empty: false,
      unknownText: true,
      events: [expect.anything(), { out: 'hi' }],
    });
  });

  it('an answer that is not text is not empty', () => {
    const thinking = chatChunk({ reasoning_content: 'hm' });
    expect(read(thinking)).toMatchObject({
      empty: false,
      text: '',
      unknownText: false,
      wordless: true,
    });
  });
});

describe('format auto', () => {
  it('takes the format of the first payload that only one vendor sends, for the frames before it too', () => {
    const body = sse({ type: 'ping' }) + sse({ conversation: 'c1' }) + chatChunk({ content: 'hi' });
    expect(read(body)).toMatchObject({ format: 'openai', text: 'hi', unknownText: true });
    expect(read(body).events).toHaveLength(3);
  });

  it('recognises OpenAI by choices with deltas, whatever other fields there are', () => {
    expect(read('data: {"choices":[{"delta":{"content":"hi"}}],"x_groq":{}}\n\n')).toMatchObject({
      format: 'openai',
      text: 'hi',
    });
  });

  it('does not recognise the AI SDK by a start frame that any app may send', () => {
    const body =
      sse({ type: 'start' }) + sse({ type: 'token', content: 'hi' }) + sse({ type: 'end' });
    expect(read(body)).toMatchObject({ format: 'sse', text: 'hi', finishMarker: 'accepted' });
  });

  it('recognises vendors in the other framing too', () => {
    const chunk = { choices: [{ delta: { content: 'hi' } }] };
    expect(read(line(chunk), NDJSON)).toMatchObject({ format: 'openai', text: 'hi' });
    const ollama = { model: 'm', response: 'hi', done: true };
    expect(read(sse(ollama))).toMatchObject({ format: 'ollama', text: 'hi', finished: true });
  });

  it.each([
    ['data: {"text":"hi"}\n\n', 'sse', 'hi'],
    ['event: a\ndata: {"text":"hi"}\n\n', 'sse', 'hi'],
    [': hello\n\nretry: 1\ndata: hi\n\n', 'sse', 'hi'],
    ['{"text":"hi"}\n{"text":"!"}', 'ndjson', 'hi!'],
    ['{"text":"hi"}', 'ndjson', 'hi'],
    ['{not JSON}\n', 'text', '{not JSON}\n'],
    ['{"text":', 'text', '{"text":'],
    [':) hello', 'text', ':) hello'],
    ['dat', 'text', 'dat'],
    ['Hello\n\ndata: x', 'text', 'Hello\n\ndata: x'],
  ])('guesses without a content type for %j', (body, format, text) => {
    const reading = new BodyReader('auto', '');
    for (const unit of body) {
      reading.feed(unit);
      reading.result();
    }
    expect(reading.result()).toMatchObject({ format, text, empty: false });
  });

  it('reads a first line without an end', () => {
    const body = `{"text":"${'x'.repeat(70_000)}"}\n`;
    const reading = new BodyReader('auto', '');
    reading.feed(body.slice(0, -10));
    reading.feed(body.slice(-10));
    expect(reading.result()).toMatchObject({ format: 'ndjson', text: 'x'.repeat(70_000) });
  });

  it('looks for frames in plain text', () => {
    expect(read('data: hi\n\n', 'text/plain')).toMatchObject({ format: 'sse', text: 'hi' });
    expect(read('{"text":"hi"}\n', 'text/plain')).toMatchObject({ format: 'ndjson', text: 'hi' });
  });

  it.each(['Hi.\r\n\r\ndata: hi\n\n', '{"city":"Oslo"}', '{ no JSON }', '[1] is a source', '0: x'])(
    'reads text/plain as it is: %j',
    (body) => {
      expect(read(body, 'text/plain')).toMatchObject({
        format: 'text',
        text: body,
        events: [],
        finishMarker: 'none',
        empty: false,
      });
    },
  );

  it.each(['It is 42.\n\nAnd so on', 'It is 42', 'Hi.\n\nid: no field\n: nor is this'])(
    'reads text labelled as an event stream as text: %j',
    (body) => {
      expect(read(body)).toMatchObject({ format: 'text', text: body, unknownText: false });
    },
  );

  it('reads JSON lines labelled as an event stream', () => {
    expect(read('{"text":"hi"}\n{"text":"!"}\n')).toMatchObject({ format: 'ndjson', text: 'hi!' });
  });
});

describe('a format given by name', () => {
  it('reads application/json line by line', () => {
    const body =
      line({ model: 'm', response: 'hi', done: false }) +
      line({ model: 'm', response: '', done: true });
    expect(read(body, 'application/json', 'ollama')).toMatchObject({ text: 'hi', finished: true });
    expect(read(line({ text: 'hi' }), 'application/json', 'ndjson').text).toBe('hi');
  });

  it('reads its payloads in the framing of the content type', () => {
    expect(read(line({ choices: [{ delta: { content: 'hi' } }] }), NDJSON, 'openai').text).toBe(
      'hi',
    );
    expect(read(sse({ model: 'm', response: 'hi', done: false }), SSE, 'ollama').text).toBe('hi');
  });

  it('keeps its framing if it is a framing', () => {
    expect(read(line({ text: 'hi' }), SSE, 'ndjson').text).toBe('hi');
    expect(read(sse({ text: 'hi' }), 'text/plain', 'sse').text).toBe('hi');
    expect(read('data: hi\n\n', SSE, 'text').text).toBe('data: hi\n\n');
  });

  it('is read as auto if the name is unknown', () => {
    expect(read(chatChunk({ content: 'hi' }), SSE, 'our-own')).toMatchObject({
      format: 'openai',
      text: 'hi',
    });
  });
});

describe('the unfinished last frame', () => {
  it('is read but not consumed', () => {
    const reading = new BodyReader('auto', SSE);
    reading.feed('data: {"text":"Hel"}\n\ndata: {"text":"lo"}');
    expect(reading.result()).toMatchObject({ text: 'Hello', unknownText: false });
    reading.feed('\n\ndata: {"text":"!"}\n\n');
    expect(reading.result().text).toBe('Hello!');
    expect(reading.result().events).toHaveLength(3);
  });

  it('whose JSON is cut adds no text, and its bytes are kept', () => {
    const reading = read('data: Hel\n\ndata: {"text":"lo');
    expect(reading).toMatchObject({
      text: 'Hel',
      unknownText: true,
      events: ['Hel', '{"text":"lo'],
    });
  });

  it('cut in the name of its field adds nothing', () => {
    expect(read('data: Hello\n\ndat')).toMatchObject({ text: 'Hello', unknownText: false });
    expect(read('data: Hello\n\nevent: x')).toMatchObject({ text: 'Hello', unknownText: false });
  });

  it('without a line end finishes an NDJSON stream', () => {
    expect(read('{"text":"hi"}\n{"done":true}', NDJSON).finished).toBe(true);
  });

  it('cut inside the arguments of a tool call keeps the call for a replay', () => {
    const call = (rest: object): string => chatChunk({ tool_calls: [{ index: 0, ...rest }] });
    const body =
      call({ id: 'c', function: { name: 'weather', arguments: '' } }) +
      call({ function: { arguments: '{"city":"Be' } }) +
      call({ function: { arguments: 'rlin"}' } }).slice(0, 60);
    const reading = read(body);
    expect(reading).toMatchObject({ toolCalls: true, finished: false, empty: false, text: '' });
    expect(reading.events).toHaveLength(3);
    expect(reading.events[1]).toMatchObject({
      choices: [{ delta: { tool_calls: [{ function: { arguments: '{"city":"Be' } }] } }],
    });
  });
});

describe('a custom format', () => {
  const own: Format = {
    name: 'lines',
    framing: 'ndjson',
    finishMarker: 'needed',
    terminal: (frame) => frame.data === 'END',
    text: (frame) => (frame.data === 'END' ? '' : frame.data.toUpperCase()),
    carries: (frame) => (frame.data === 'END' ? 'nothing' : 'content'),
  };

  it('is called with three questions for each frame', () => {
    expect(read('a\nb\nEND\n', NDJSON, own)).toMatchObject({
      format: 'lines',
      text: 'AB',
      finished: true,
      finishMarker: 'needed',
      events: ['a', 'b', 'END'],
    });
  });

  it('that throws loses nothing: the payload is unknown, and the error is reported once', () => {
    const errors: unknown[] = [];
    const throwing: Format = {
      ...own,
      text: (frame) => {
        if (frame.data === 'b') throw new Error('boom');
        return own.text(frame);
      },
    };
    const reading = new BodyReader(throwing, NDJSON, (error) => errors.push(error));
    reading.feed('a\nb\nb\nc\nEND\n');
    expect(reading.result()).toMatchObject({ text: 'AC', unknownText: true, finished: true });
    expect(reading.result().events).toEqual(['a', 'b', 'b', 'c', 'END']);
    expect(errors).toEqual([new Error('boom')]);
  });

  it('that returns values of wrong types counts as not recognising the frame', () => {
    const errors: unknown[] = [];
    // What a caller without TypeScript may hand over.
    const odd = { ...own, text: () => undefined } as unknown as Format;
    const reading = new BodyReader(odd, NDJSON, (error) => errors.push(error));
    reading.feed('a\nb\n');
    expect(reading.result()).toMatchObject({ text: '', unknownText: true, empty: false });
    expect(errors).toHaveLength(1);
  });

  it('may read the whole body as text', () => {
    const shouting: Format = { ...own, framing: 'text', finishMarker: 'none' };
    expect(read('hello\nworld', SSE, shouting)).toMatchObject({ text: 'HELLO\nWORLD', events: [] });
    const lost: Format = { ...shouting, carries: () => 'unknown' };
    expect(read('hello', SSE, lost)).toMatchObject({ unknownText: true, events: ['hello'] });
  });
});

it('reads a frame of many chunks without a boundary in linear time', () => {
  const reading = new BodyReader('auto', SSE);
  reading.feed('data: {"text":"');
  for (let index = 0; index < 200_000; index++) reading.feed('0123456789abcdef'.repeat(2));
  reading.feed('"}\n\n');
  expect(reading.result().text).toHaveLength(6_400_000);
});
