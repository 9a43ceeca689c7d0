/** Tokens as formats say them: of the streams of the corpus, and of payloads that say nothing that could be a count. */
import { describe, expect, it } from 'vitest';
import { BodyReader } from '../../src/formats/index.ts';
import { FIXTURES } from './corpus/fixture.ts';

const fixtures = new Map(FIXTURES.map((fixture) => [fixture.id, fixture]));

/** What is read of a body, by the format that its content shows. */
function usageOf(body: string, contentType = 'text/event-stream') {
  const reader = new BodyReader('auto', contentType);
  reader.feed(body);
  const { inputTokens, outputTokens } = reader.result().usage;
  return [inputTokens, outputTokens];
}

const NOTHING = [undefined, undefined];

describe('the token usage in the corpus', () => {
  it.each([
    ['openai-chat', [9, 2]],
    ['openai-whole-json', [9, 2]],
    ['vllm-completions', [3, 2]],
    ['together-completions', [3, 2]],
    ['mistral-chat', [9, 2]],
    ['perplexity', [9, 2]],
    ['groq', [9, 2]],
    ['openai-responses', [9, 2]],
    ['openai-responses-only-completed', [9, 2]],
    ['anthropic', [9, 5]],
    ['anthropic-whole-json', [9, 5]],
    // It broke off: what the first event says of the answer is not what it took.
    ['anthropic-overloaded', [9, undefined]],
    ['gemini-sse', [4, 2]],
    ['gemini-whole-json', [4, undefined]],
    ['ollama-chat', [26, 2]],
    ['ai-sdk-4-data-stream', [48, 23]],
    ['ai-sdk-4-full-stream', [9, 2]],
    ['mastra', [9, 2]],
    // Says none.
    ['ai-sdk-6', NOTHING],
    // Nobody's format, whose `usage` may be anything.
    ['own-usage', NOTHING],
    ['dify-chat', NOTHING],
    ['cohere-v2', NOTHING],
  ])('of %s is %j', (id, usage) => {
    const fixture = fixtures.get(id);
    expect(fixture).toBeDefined();
    const type = fixture?.headers['content-type']?.split(';')[0] ?? '';
    expect(usageOf(fixture?.body.toString() ?? '', type)).toEqual(usage);
  });
});

const chunk = (usage: unknown): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'a' }, finish_reason: 'stop' }], usage })}\n\n`;

describe('the token usage in payloads', () => {
  it.each([
    ['a text', { prompt_tokens: '9', completion_tokens: 'two' }],
    ['a negative number', { prompt_tokens: -1, completion_tokens: -2 }],
    ['a fraction', { prompt_tokens: 1.5, completion_tokens: 0.1 }],
    ['a number that is too large', { prompt_tokens: 1e300, completion_tokens: 2 ** 53 }],
    ['an object', { prompt_tokens: {}, completion_tokens: [] }],
    ['no object', 'nine'],
    ['null', null],
  ])('%s is not counted', (_title, usage) => {
    expect(usageOf(chunk(usage))).toEqual(NOTHING);
  });

  it('the last count of each kind is used', () => {
    const body =
      chunk({ prompt_tokens: 9, completion_tokens: 1 }) + chunk({ completion_tokens: 4 });
    expect(usageOf(body)).toEqual([9, 4]);
  });

  it('tokens from a cache and thought tokens are included', () => {
    const counts = {
      input_tokens: 2,
      cache_creation_input_tokens: 30,
      cache_read_input_tokens: 400,
    };
    const start = { type: 'message_start', message: { role: 'assistant', usage: counts } };
    expect(usageOf(`event: message_start\ndata: ${JSON.stringify(start)}\n\n`)).toEqual([
      432,
      undefined,
    ]);
    const gemini = {
      candidates: [{ content: { parts: [{ text: 'a' }] } }],
      usageMetadata: {
        promptTokenCount: 4,
        toolUsePromptTokenCount: 10,
        candidatesTokenCount: 2,
        thoughtsTokenCount: 50,
      },
    };
    expect(usageOf(`data: ${JSON.stringify(gemini)}\n\n`)).toEqual([14, 52]);
  });

  it('a sum that is too large is not counted', () => {
    const counts = { input_tokens: 2 ** 53 - 1, cache_read_input_tokens: 2 ** 53 - 1 };
    const start = { type: 'message_start', message: { role: 'assistant', usage: counts } };
    expect(usageOf(`data: ${JSON.stringify(start)}\n\n`)).toEqual(NOTHING);
  });

  it('of the full stream of the AI SDK 5 is the sum of all steps', () => {
    const step = { type: 'finish-step', usage: { inputTokens: 1, outputTokens: 1 } };
    const finish = {
      type: 'finish',
      finishReason: 'stop',
      totalUsage: { inputTokens: 20, outputTokens: 7 },
    };
    const body = [{ type: 'text-delta', id: '0', text: 'a' }, step, finish];
    const sent = body.map((one) => `data: ${JSON.stringify(one)}\n\n`).join('');
    expect(usageOf(sent)).toEqual([20, 7]);
  });
});
