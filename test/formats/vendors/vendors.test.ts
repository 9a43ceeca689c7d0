/** The tables of the vendors' formats against the types that the vendors publish, and what is special in each. */
import { createUIMessageStream, createUIMessageStreamResponse, type UIMessageChunk } from 'ai';
import type { ChatCompletionChunk } from 'openai/resources/chat/completions';
import type { ResponseStreamEvent } from 'openai/resources/responses/responses';
import { describe, expect, it } from 'vitest';
import { type BodyReading, BodyReader } from '../../../src/formats/index.ts';
import { aiSdk } from '../../../src/formats/vendors/ai-sdk.ts';
import type { Carries, Frame } from '../../../src/formats/format.ts';
import { openai } from '../../../src/formats/vendors/openai.ts';
import { openaiResponses } from '../../../src/formats/vendors/openai-responses.ts';
import { line, sse } from '../../support/frames.ts';

function frame(json: object): Frame {
  return { data: JSON.stringify(json), event: undefined, json };
}

function read(frames: readonly string[], contentType = 'text/event-stream'): BodyReading {
  const reading = new BodyReader('auto', contentType);
  for (const one of frames) reading.feed(one);
  return reading.result();
}

describe('the AI SDK', () => {
  type Family = `data-${string}`;
  // The compiler asks for a line here when a version brings a type.
  const carries: Record<Exclude<UIMessageChunk['type'], Family>, Carries> = {
    start: 'nothing',
    'start-step': 'nothing',
    'finish-step': 'nothing',
    finish: 'nothing',
    abort: 'error',
    error: 'error',
    'message-metadata': 'nothing',
    'text-start': 'nothing',
    'text-delta': 'content',
    'text-end': 'nothing',
    'reasoning-start': 'nothing',
    'reasoning-delta': 'content',
    'reasoning-end': 'nothing',
    'source-url': 'content',
    'source-document': 'content',
    file: 'content',
    'tool-input-start': 'content',
    'tool-input-delta': 'content',
    'tool-input-available': 'content',
    'tool-input-error': 'content',
    'tool-approval-request': 'content',
    'tool-output-available': 'content',
    'tool-output-error': 'content',
    'tool-output-denied': 'content',
  };

  it.each(Object.entries(carries))('classifies the part %s as %s', (type, expected) => {
    const rest = { content: { delta: 'x' }, error: { errorText: 'x' }, nothing: {}, unknown: {} };
    expect(aiSdk.carries(frame({ type, id: '0', ...rest[expected] }))).toBe(expected);
    if (expected === 'content' && type !== 'text-delta' && !type.startsWith('reasoning')) return;
    const known = expected === 'error' ? 'error' : 'unknown';
    expect(aiSdk.carries(frame({ type, hologram: 'x', errorText: 'x' }))).toBe(known);
  });

  it.each([{ delta: 'hi' }, { text: 'hi' }, { textDelta: 'hi' }, { payload: { text: 'hi' } }])(
    'reads a text-delta with %j',
    (rest) => {
      const delta = frame({ type: 'text-delta', id: '0', ...rest });
      expect([aiSdk.recognises(delta), aiSdk.text(delta)]).toEqual([true, 'hi']);
    },
  );

  it('is not recognised by a type that other formats may use', () => {
    for (const type of ['tool-time', 'text-delta', 'start', 'finish', 'data-x']) {
      expect(aiSdk.recognises(frame({ type, words: 'hi' })), type).toBe(false);
    }
  });

  it('classifies data parts as content', () => {
    expect(aiSdk.carries(frame({ type: 'data-weather', data: { celsius: 5 } }))).toBe('content');
  });

  it('reads what the AI SDK itself writes', async () => {
    const stream = createUIMessageStream({
      execute: ({ writer }) => {
        writer.write({ type: 'start', messageId: 'm' });
        writer.write({ type: 'text-start', id: '1' });
        writer.write({ type: 'text-delta', id: '1', delta: 'It is ' });
        writer.write({ type: 'text-delta', id: '1', delta: '5 °C' });
        writer.write({ type: 'text-end', id: '1' });
        writer.write({ type: 'tool-input-start', toolCallId: 't', toolName: 'weather' });
        writer.write({ type: 'finish', finishReason: 'stop' });
      },
    });
    const body = await createUIMessageStreamResponse({ stream }).text();
    expect(read([body])).toMatchObject({
      format: 'ai-sdk',
      text: 'It is 5 °C',
      finished: true,
      toolCalls: true,
      finishReason: 'stop',
      unknownText: false,
    });
  });

  it('does not take the name of an Object method for a type', () => {
    expect(aiSdk.carries(frame({ type: 'constructor', delta: 'x' }))).toBe('unknown');
  });

  it('is not finished by the [DONE] behind an abort', () => {
    const frames = [sse({ type: 'start-step' }), sse({ type: 'abort' }), 'data: [DONE]\n\n'];
    expect(read(frames)).toMatchObject({ format: 'ai-sdk', finished: false, errorFrame: true });
  });
});

describe('OpenAI chat completions', () => {
  const chunk = (choice: Partial<ChatCompletionChunk.Choice>): string =>
    sse({
      id: 'c',
      object: 'chat.completion.chunk',
      created: 0,
      model: 'm',
      choices: [{ index: 0, delta: {}, finish_reason: null, ...choice }],
    } satisfies ChatCompletionChunk);

  it('is finished by [DONE] if the finish reason stays null', () => {
    const frames = [chunk({ delta: { content: 'hi' } }), 'data: [DONE]\n\n'];
    expect(read(frames)).toMatchObject({ finished: true, finishReason: undefined });
  });

  it('is not finished without [DONE] and without a finish reason', () => {
    expect(read([chunk({ delta: { content: 'hi' } })])).toMatchObject({
      finished: false,
      finishMarker: 'needed',
    });
  });

  it('is not finished by tool_calls if more follows', () => {
    const call = chunk({ delta: { tool_calls: [{ index: 0, function: { arguments: '{}' } }] } });
    const frames = [call, chunk({ finish_reason: 'tool_calls' })];
    expect(openai.terminal(frame({ choices: [{ delta: {}, finish_reason: 'tool_calls' }] }))).toBe(
      false,
    );
    expect(read(frames)).toMatchObject({
      finished: true,
      toolCalls: true,
      finishReason: 'tool_calls',
    });
    expect(read([...frames, chunk({ delta: { content: 'It' } })])).toMatchObject({
      finished: false,
    });
    expect(read([...frames, chunk({ finish_reason: 'stop' })])).toMatchObject({
      finished: true,
      finishReason: 'stop',
    });
  });

  it.each(['length', 'content_filter'] as const)(
    'is finished by %s, which is kept as the reason',
    (reason) => {
      expect(read([chunk({ finish_reason: reason })])).toMatchObject({
        finished: true,
        finishReason: reason,
      });
    },
  );

  it('reads a refusal as the answer', () => {
    expect(read([chunk({ delta: { refusal: 'I cannot' } })]).text).toBe('I cannot');
  });

  it('keeps a second choice in the events', () => {
    const frames = [
      chunk({ delta: { content: 'A' } }),
      chunk({ index: 1, delta: { content: 'B' } }),
    ];
    expect(read(frames)).toMatchObject({ text: 'A', unknownText: true });
  });

  it('accepts frames without a delta once the format is recognised', () => {
    const filter = sse({
      choices: [{ index: 0, finish_reason: null, content_filter_offsets: {} }],
    });
    expect(read([chunk({ delta: { content: 'A' } }), filter])).toMatchObject({
      text: 'A',
      unknownText: false,
    });
  });

  it('does not take the finish reason of a failed answer for its end', () => {
    const error = { message: 'upstream went away' };
    const frames = [sse({ error, choices: [{ delta: {}, finish_reason: 'error' }] })];
    expect(read(frames)).toMatchObject({ errorFrame: true, finished: false });
  });

  it('recognises its error, also as the first frame', () => {
    const error = sse({ error: { message: 'Rate limit reached', type: 'requests', code: null } });
    expect(read([error])).toMatchObject({ errorFrame: true, finished: false, empty: false });
    const late = [chunk({ delta: { content: 'A' } }), error, 'data: [DONE]\n\n'];
    expect(read(late)).toMatchObject({
      format: 'openai',
      text: 'A',
      errorFrame: true,
      unknownText: false,
    });
  });
});

describe('OpenAI Responses', () => {
  // The compiler asks for a line here when a version brings a type.
  const carries: Record<ResponseStreamEvent['type'], Carries> = {
    error: 'error',
    'response.audio.delta': 'content',
    'response.audio.done': 'nothing',
    'response.audio.transcript.delta': 'content',
    'response.audio.transcript.done': 'nothing',
    'response.code_interpreter_call_code.delta': 'content',
    'response.code_interpreter_call_code.done': 'nothing',
    'response.code_interpreter_call.completed': 'nothing',
    'response.code_interpreter_call.in_progress': 'nothing',
    'response.code_interpreter_call.interpreting': 'nothing',
    'response.completed': 'nothing',
    'response.content_part.added': 'nothing',
    'response.content_part.done': 'nothing',
    'response.created': 'nothing',
    'response.custom_tool_call_input.delta': 'content',
    'response.custom_tool_call_input.done': 'nothing',
    'response.failed': 'error',
    'response.file_search_call.completed': 'nothing',
    'response.file_search_call.in_progress': 'nothing',
    'response.file_search_call.searching': 'nothing',
    'response.function_call_arguments.delta': 'content',
    'response.function_call_arguments.done': 'nothing',
    'response.image_generation_call.completed': 'nothing',
    'response.image_generation_call.generating': 'nothing',
    'response.image_generation_call.in_progress': 'nothing',
    'response.image_generation_call.partial_image': 'content',
    'response.in_progress': 'nothing',
    'response.incomplete': 'nothing',
    'response.mcp_call_arguments.delta': 'content',
    'response.mcp_call_arguments.done': 'nothing',
    'response.mcp_call.completed': 'nothing',
    'response.mcp_call.failed': 'nothing',
    'response.mcp_call.in_progress': 'nothing',
    'response.mcp_list_tools.completed': 'nothing',
    'response.mcp_list_tools.failed': 'nothing',
    'response.mcp_list_tools.in_progress': 'nothing',
    'response.output_item.added': 'nothing',
    'response.output_item.done': 'nothing',
    'response.output_text.annotation.added': 'nothing',
    'response.output_text.delta': 'content',
    'response.output_text.done': 'nothing',
    'response.queued': 'nothing',
    'response.reasoning_summary_part.added': 'nothing',
    'response.reasoning_summary_part.done': 'nothing',
    'response.reasoning_summary_text.delta': 'content',
    'response.reasoning_summary_text.done': 'nothing',
    'response.reasoning_text.delta': 'content',
    'response.reasoning_text.done': 'nothing',
    'response.refusal.delta': 'content',
    'response.refusal.done': 'nothing',
    'response.web_search_call.completed': 'nothing',
    'response.web_search_call.in_progress': 'nothing',
    'response.web_search_call.searching': 'nothing',
  };

  it.each(Object.entries(carries))('classifies the event %s as %s', (type, expected) => {
    const rest = { content: { delta: 'x' }, nothing: {}, error: {}, unknown: {} }[expected];
    expect(openaiResponses.carries(frame({ type, sequence_number: 1, ...rest }))).toBe(expected);
    if (expected === 'error') return;
    const strange = frame({ type, sequence_number: 1, hologram: 'x' });
    expect(openaiResponses.carries(strange)).toBe('unknown');
  });

  it('classifies a new kind of event as unknown', () => {
    const shown = frame({ type: 'response.hologram.shown', hologram: 'x' });
    expect(openaiResponses.carries(shown)).toBe('unknown');
  });

  it('is finished by incomplete, with its reason', () => {
    const frames = [
      sse({ type: 'response.output_text.delta', delta: 'hi' }),
      sse({
        type: 'response.incomplete',
        response: { incomplete_details: { reason: 'max_output_tokens' } },
      }),
    ];
    expect(read(frames)).toMatchObject({
      finished: true,
      text: 'hi',
      finishReason: 'max_output_tokens',
    });
  });

  it('detects a tool call at its beginning', () => {
    const frames = [
      sse({ type: 'response.output_item.added', item: { type: 'function_call', name: 'f' } }),
    ];
    expect(read(frames)).toMatchObject({ toolCalls: true, empty: false });
  });
});

describe('Anthropic messages', () => {
  const start = (content_block: object): string =>
    sse({ type: 'content_block_start', index: 0, content_block });
  const delta = (one: object): string => sse({ type: 'content_block_delta', index: 0, delta: one });

  it('classifies thinking as content that is not text', () => {
    const frames = [
      start({ type: 'thinking', thinking: '' }),
      delta({ type: 'thinking_delta', thinking: 'hm' }),
      delta({ type: 'signature_delta', signature: 'abc' }),
    ];
    expect(read(frames)).toMatchObject({
      text: '',
      empty: false,
      wordless: true,
      unknownText: false,
    });
  });

  it('detects a tool call, and its finish reason', () => {
    const frames = [
      start({ type: 'tool_use', id: 't', name: 'weather', input: {} }),
      delta({ type: 'input_json_delta', partial_json: '{"ci' }),
      sse({ type: 'message_delta', delta: { stop_reason: 'tool_use' } }),
    ];
    expect(read(frames)).toMatchObject({
      toolCalls: true,
      finished: false,
      finishReason: 'tool_use',
    });
  });

  it('is empty while only the frames that open the message have come', () => {
    const frames = [sse({ type: 'message_start', message: {} }), start({ type: 'text', text: '' })];
    expect(read(frames)).toMatchObject({ format: 'anthropic', empty: true });
  });

  it('recognises its error event', () => {
    const frames = [
      sse({ type: 'message_start', message: {} }),
      sse({ type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } }, 'error'),
    ];
    expect(read(frames)).toMatchObject({
      format: 'anthropic',
      errorFrame: true,
      unknownText: false,
    });
  });
});

it('only Anthropic recognises an error by the name of its event', () => {
  const reading = new BodyReader('anthropic', 'text/event-stream');
  reading.feed('event: error\ndata: overloaded\n\n');
  expect(reading.result()).toMatchObject({ errorFrame: true, unknownText: false });
});

describe('Gemini', () => {
  const candidate = (rest: object): string => sse({ candidates: [rest], usageMetadata: {} });

  it('adds text that comes with the finish reason', () => {
    const frames = [
      candidate({ content: { parts: [{ text: 'hm', thought: true }] } }),
      candidate({ content: { parts: [{ text: 'It is ' }] } }),
      candidate({ content: { parts: [{ text: '5' }] }, finishReason: 'MAX_TOKENS' }),
    ];
    expect(read(frames)).toMatchObject({
      text: 'It is 5',
      finished: true,
      finishReason: 'MAX_TOKENS',
    });
  });

  it('detects calls and images', () => {
    const call = candidate({ content: { parts: [{ functionCall: { name: 'f', args: {} } }] } });
    expect(read([call])).toMatchObject({ toolCalls: true, empty: false });
    const image = candidate({ content: { parts: [{ inlineData: { mimeType: 'image/png' } }] } });
    expect(read([image])).toMatchObject({ wordless: true, empty: false });
  });

  it('is finished by a blocked prompt', () => {
    const frames = [sse({ promptFeedback: { blockReason: 'SAFETY' } })];
    expect(read(frames)).toMatchObject({
      format: 'gemini',
      finished: true,
      empty: true,
      finishReason: 'SAFETY',
    });
  });
});

describe('Ollama', () => {
  const ndjson = 'application/x-ndjson';

  it('reads the answers of generate as well as those of chat', () => {
    const frames = [
      line({ model: 'm', response: 'It is ', done: false }),
      line({ model: 'm', response: '5', done: false }),
      line({ model: 'm', response: '', done: true, done_reason: 'length', eval_count: 4 }),
    ];
    expect(read(frames, ndjson)).toMatchObject({
      format: 'ollama',
      text: 'It is 5',
      finished: true,
      finishReason: 'length',
    });
    expect(read(frames.slice(0, 2), ndjson)).toMatchObject({
      finished: false,
      finishMarker: 'needed',
    });
  });

  it('detects thinking and calls', () => {
    const message = (rest: object): string =>
      line({ model: 'm', message: { content: '', ...rest }, done: false });
    expect(read([message({ thinking: 'hm' })], ndjson)).toMatchObject({
      wordless: true,
      empty: false,
    });
    expect(read([message({ tool_calls: [{ function: { name: 'f' } }] })], ndjson)).toMatchObject({
      toolCalls: true,
    });
    expect(read([message({ role: 'assistant' })], ndjson)).toMatchObject({ empty: true });
  });

  it('recognises its error line', () => {
    const frames = [
      line({ model: 'm', response: 'a', done: false }),
      line({ error: 'out of memory' }),
    ];
    expect(read(frames, ndjson)).toMatchObject({ format: 'ollama', errorFrame: true });
  });
});

describe('generic formats', () => {
  it.each([
    ['bare text', 'hi'],
    ['a JSON string', '"hi"'],
    ['content before text', '{"content":"hi","text":"hi"}'],
    ['delta before text', '{"delta":"hi","text":"hi"}'],
    ['text', '{"text":"hi","id":"1"}'],
    ['delta', '{"delta":"hi"}'],
    ['token', '{"id":1,"token":"hi"}'],
    ['response', '{"response":"hi"}'],
    ['message.content', '{"message":{"role":"assistant","content":"hi"}}'],
    ['text beside done', '{"text":"hi","done":true}'],
  ])('find the text in %s', (_name, payload) => {
    expect(read([`data: ${payload}\n\n`])).toMatchObject({
      format: 'sse',
      text: 'hi',
      unknownText: false,
    });
    expect(read([`${payload}\n`], 'application/x-ndjson')).toMatchObject({
      format: 'ndjson',
      text: 'hi',
    });
  });

  it('keep a field that could be the text as well', () => {
    expect(read(['data: {"delta":"hi","text":"no"}\n\n'])).toMatchObject({
      text: 'hi',
      unknownText: true,
    });
  });

  it('accept a finish marker, and do not require one', () => {
    expect(read(['data: hi\n\n'])).toMatchObject({ finished: false, finishMarker: 'accepted' });
    expect(read(['data: hi\n\n', 'data: [DONE]\n\n'])).toMatchObject({
      finished: true,
      text: 'hi',
    });
    expect(read(['{"text":"hi"}\n', '[DONE]\n'], 'application/jsonl')).toMatchObject({
      finished: true,
      text: 'hi',
    });
  });
});
