/** Errors of the libraries that talk to model providers. */
import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { RunnableLambda } from '@langchain/core/runnables';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, streamText } from 'ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { setTimeout } from 'node:timers/promises';
import { line, sse } from '../../support/frames.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';
import { createUpstream } from '../../support/upstream.ts';
import type { Case } from './case.ts';
import { meanwhile, nobody, rejection, upstream } from './provoke.ts';
import { broken, CONSEQUENCE, drain, under } from './second-scenery.ts';

const messages = [{ role: 'user' as const, content: 'hi' }];
const asked = { model: 'm', messages };
const claude = { ...asked, max_tokens: 10 };

/** The address of a provider that says this and no more. */
async function saying(body: string, type = 'text/event-stream'): Promise<string> {
  const testServer = await serve((_, res) => {
    res.writeHead(200, { 'content-type': type });
    res.end(body);
  });
  return testServer.url;
}

function openai(baseURL: string, timeout = 60_000): OpenAI {
  return new OpenAI({ apiKey: 'k', baseURL, maxRetries: 0, timeout });
}

const openais: readonly Case[] = [
  under('an answer that has not begun', 'openai', 'APIUserAbortError Error -', async (signal) =>
    openai(await upstream('silent')).chat.completions.create(
      { ...asked, stream: true },
      { signal },
    ),
  ),
  under('an answer that is gathered', 'openai', 'APIUserAbortError Error -', async (signal) =>
    openai(await upstream('speaking'))
      .chat.completions.stream(asked, { signal })
      .finalContent(),
  ),
  under('an answer that is not a stream', 'openai', 'APIUserAbortError Error -', async (signal) =>
    openai(await upstream('silent')).responses.create({ model: 'm', input: 'hi' }, { signal }),
  ),
  broken('too many requests', 'openai', 'RateLimitError Error -', async () =>
    openai(await upstream('busy')).chat.completions.create(asked),
  ),
  broken('a provider that cuts the answer', 'openai', 'TypeError TypeError -', async () =>
    drain(
      await openai(await upstream('cutting')).chat.completions.create({ ...asked, stream: true }),
    ),
  ),
  broken('a time limit', 'openai', 'APIConnectionTimeoutError Error -', async () =>
    openai(await upstream('silent'), 5).chat.completions.create(asked),
  ),
  broken('an error in the stream', 'openai', 'APIError Error -', async () => {
    const url = await saying(sse({ error: { message: 'aborted', type: 'server_error' } }));
    return drain(await openai(url).chat.completions.create({ ...asked, stream: true }));
  }),
  broken('a stream that ends before it has begun', 'openai', 'OpenAIError Error -', async () =>
    openai(await saying(''))
      .chat.completions.stream(asked)
      .finalContent(),
  ),
];

function anthropic(baseURL: string, timeout = 60_000): Anthropic {
  return new Anthropic({ apiKey: 'k', baseURL, maxRetries: 0, timeout });
}

const anthropics: readonly Case[] = [
  under(
    'an answer that has not begun',
    'anthropic',
    'APIUserAbortError APIUserAbortError -',
    async (signal) =>
      anthropic(await upstream('silent')).messages.create({ ...claude, stream: true }, { signal }),
  ),
  under(
    'an answer that is gathered',
    'anthropic',
    'APIUserAbortError APIUserAbortError -',
    async (signal) => {
      const provider = await createUpstream('anthropic');
      const baseURL = provider.baseURL.slice(0, -'/v1'.length);
      return anthropic(baseURL).messages.stream(claude, { signal }).finalMessage();
    },
  ),
  broken(
    'an overloaded provider, said in the stream',
    'anthropic',
    'APIError APIError -',
    async () => {
      const frame = { type: 'error', error: { type: 'overloaded_error', message: 'aborted' } };
      const url = await saying(sse(frame, 'error'));
      return drain(await anthropic(url).messages.create({ ...claude, stream: true }));
    },
  ),
  broken(
    'a stream that ends before it has begun',
    'anthropic',
    'AnthropicError AnthropicError -',
    async () =>
      anthropic(await saying(''))
        .messages.stream(claude)
        .finalMessage(),
  ),
  broken(
    'a time limit',
    'anthropic',
    'APIConnectionTimeoutError APIConnectionTimeoutError -',
    async () => anthropic(await upstream('silent'), 5).messages.create(claude),
  ),
  broken(
    'a provider that is not there',
    'anthropic',
    'APIConnectionError APIConnectionError -',
    async () => anthropic(await nobody()).messages.create(claude),
  ),
];

const model = (baseURL: string) => createOpenAI({ apiKey: 'k', baseURL }).chat('m');

const vercel: readonly Case[] = [
  under('a text that is generated', 'ai', 'DOMException AbortError 20', async (abortSignal) =>
    generateText({ model: model(await upstream('silent')), prompt: 'hi', abortSignal }),
  ),
  under('the wait before another try', 'ai', 'DOMException AbortError 20', async (abortSignal) =>
    generateText({ model: model(await upstream('busy')), prompt: 'hi', abortSignal }),
  ),
  under(
    'a text that is streamed',
    'ai',
    'DOMException AbortError 20',
    async (abortSignal) =>
      streamText({
        model: model(await upstream('silent')),
        prompt: 'hi',
        abortSignal,
        onError: () => {
          // The promise says it.
        },
      }).text,
  ),
  broken('a provider that fails twice', 'ai', 'APICallError AI_APICallError -', async () =>
    generateText({ model: model(await upstream('hangingUp')), prompt: 'hi', maxRetries: 0 }),
  ),
  broken('a provider that fails', 'ai', 'APICallError AI_APICallError -', async () =>
    generateText({ model: model(await upstream('failing')), prompt: 'hi', maxRetries: 0 }),
  ),
  broken('a time limit of its own', 'ai', 'DOMException TimeoutError 23', async () =>
    generateText({
      model: model(await upstream('silent')),
      prompt: 'hi',
      maxRetries: 0,
      abortSignal: AbortSignal.timeout(5),
    }),
  ),
];

const langchain = (baseURL: string): ChatOpenAI =>
  new ChatOpenAI({ model: 'm', apiKey: 'k', maxRetries: 0, configuration: { baseURL } });

const rest: readonly Case[] = [
  under(
    'an answer',
    'langchain',
    ['Error AbortError -', 'DOMException AbortError 20'],
    async (signal) => langchain(await upstream('silent')).invoke('hi', { signal }),
  ),
  under('a stream', 'langchain', 'DOMException AbortError 20', async (signal) =>
    drain(await langchain(await upstream('speaking')).stream('hi', { signal })),
  ),
  under('a step of a chain', 'langchain', 'DOMException AbortError 20', (signal) =>
    RunnableLambda.from(async () => setTimeout(60_000, 'late', { ref: false })).invoke('hi', {
      signal,
    }),
  ),
  broken('a step that takes too long', 'langchain', 'DOMException TimeoutError 23', () =>
    RunnableLambda.from(async () => setTimeout(60_000, 'late', { ref: false })).invoke('hi', {
      timeout: 5,
    }),
  ),
  broken('a provider that fails', 'langchain', 'InternalServerError Error -', async () =>
    langchain(await upstream('failing')).invoke('hi'),
  ),
  under(
    'a stream under a signal in its fetch',
    'ollama',
    'DOMException AbortError 20',
    async (signal) => {
      const ollama = new Ollama({
        host: await upstream('silent'),
        fetch: (input, init) => fetch(input, { ...init, signal }),
      });
      return ollama.chat(asked);
    },
  ),
  {
    what: 'a client that is told to stop',
    source: 'ollama',
    look: 'DOMException AbortError 20',
    noise: CONSEQUENCE,
    provoke: async (stage) => {
      const testServer = await serve((_, res) => {
        res.writeHead(200, { 'content-type': 'application/x-ndjson' });
        res.write(line({ message: { role: 'assistant', content: 'hi' }, done: false }));
      });
      const ollama = new Ollama({ host: testServer.url });
      const answer = await ollama.chat({ ...asked, stream: true });
      return meanwhile(stage, () => {
        const read = drain(answer);
        ollama.abort();
        return read;
      });
    },
  },
  broken('a stream that breaks off without a last line', 'ollama', 'Error Error -', async () => {
    const ollama = new Ollama({ host: await saying(line({ message: {}, done: false })) });
    return drain(await ollama.chat({ ...asked, stream: true }));
  }),
  broken('a provider that fails', 'ollama', 'ResponseError ResponseError -', async () =>
    new Ollama({ host: await upstream('failing') }).chat(asked),
  ),
  {
    what: 'a stream',
    source: '@google/genai',
    look: 'DOMException AbortError 20',
    noise: CONSEQUENCE,
    provoke: async (stage) => {
      let asked = false;
      const { url: baseUrl } = await serve(() => {
        asked = true;
      });
      const google = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl } });
      const own = new AbortController();
      const config = { abortSignal: stage.scene === 'there' ? own.signal : stage.handle.signal };
      const error = rejection(
        google.models.generateContentStream({ model: 'm', contents: 'hi', config }),
      );
      // It never meets an abort that comes before it has asked.
      await until('the provider is asked', () => asked);
      await stage.depart();
      own.abort();
      return error;
    },
  },
  broken('a provider that fails', '@google/genai', 'ApiError ApiError -', async () => {
    const baseUrl = await upstream('failing');
    const google = new GoogleGenAI({ apiKey: 'k', httpOptions: { baseUrl } });
    return google.models.generateContent({ model: 'm', contents: 'hi' });
  }),
];

/** Errors of the providers' own clients, and of what is built on them. */
export const SDKS: readonly Case[] = [...openais, ...anthropics, ...vercel, ...rest];
