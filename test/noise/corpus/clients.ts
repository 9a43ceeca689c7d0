/** Clients of other people: undici, the SDKs of model providers, and the AI SDK. */
import { EventEmitter } from 'node:events';
import Anthropic from '@anthropic-ai/sdk';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText } from 'ai';
import OpenAI from 'openai';
import { Client, request } from 'undici';
import type { Case, Scene } from './case.ts';
import { abortAfter, meanwhile, nobody, ours, rejection, upstream } from './provoke.ts';

const ONLY_WITHOUT_CLIENT: Partial<Record<Scene, boolean>> = {
  left: true,
  stopped: true,
  there: false,
};
const NEVER: Partial<Record<Scene, boolean>> = { left: false, stopped: false, there: false };

const UNDICI_ABORT = 'RequestAbortedError AbortError UND_ERR_ABORTED';
const DOM_ABORT = 'DOMException AbortError 20';

const undici: readonly Case[] = [
  {
    what: 'a request with a signal',
    source: 'undici',
    look: DOM_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return abortAfter(stage, (signal) => request(url, { signal }));
    },
  },
  {
    what: 'a request with an EventEmitter as its signal',
    source: 'undici',
    look: UNDICI_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const url = await upstream('silent');
      const signal = new EventEmitter();
      const error = rejection(request(url, { signal }));
      await stage.depart();
      signal.emit('abort');
      return error;
    },
  },
  {
    what: 'a body that is destroyed while it is read',
    source: 'undici',
    look: UNDICI_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const { body } = await request(await upstream('speaking'));
      const error = rejection(body.text());
      await stage.depart();
      body.destroy();
      return error;
    },
  },
  {
    what: 'headers that do not come in time',
    source: 'undici',
    look: 'HeadersTimeoutError HeadersTimeoutError UND_ERR_HEADERS_TIMEOUT',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return meanwhile(stage, () => request(url, { headersTimeout: 1 }));
    },
  },
  {
    what: 'a body that does not go on in time',
    source: 'undici',
    look: 'BodyTimeoutError BodyTimeoutError UND_ERR_BODY_TIMEOUT',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('speaking');
      return meanwhile(stage, async () => (await request(url, { bodyTimeout: 1 })).body.text());
    },
  },
  {
    what: 'a body that is cut',
    source: 'undici',
    look: 'SocketError SocketError UND_ERR_SOCKET',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('cutting');
      return meanwhile(stage, async () => (await request(url)).body.text());
    },
  },
  {
    what: 'a client that is destroyed with requests in flight',
    source: 'undici',
    look: 'ClientDestroyedError ClientDestroyedError UND_ERR_DESTROYED',
    noise: NEVER,
    provoke: async (stage) => {
      const client = new Client(await upstream('silent'));
      const error = rejection(client.request({ path: '/', method: 'GET' }));
      await stage.depart();
      await client.destroy();
      return error;
    },
  },
];

const openAi = (baseURL: string, timeout = 60_000): OpenAI =>
  new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: 'none', maxRetries: 0, timeout });

const complete = (client: OpenAI, signal?: AbortSignal) =>
  client.chat.completions.create({ model: 'm', messages: [], stream: true }, { signal });

const readAll = async (stream: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of stream);
};

const openai: readonly Case[] = [
  {
    what: 'a completion with a signal, before the response',
    source: 'openai',
    look: 'APIUserAbortError Error -',
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const client = openAi(await upstream('silent'));
      return abortAfter(stage, (signal) => complete(client, signal));
    },
  },
  {
    what: "a completion under the stream's own signal",
    source: 'openai',
    look: 'APIUserAbortError Error -',
    noise: { left: true, stopped: true, closing: true },
    provoke: async (stage) => {
      const client = openAi(await upstream('silent'));
      return ours(stage, (signal) => complete(client, signal));
    },
  },
  {
    what: 'a time-out of the client',
    source: 'openai',
    look: 'APIConnectionTimeoutError Error -',
    noise: NEVER,
    provoke: async (stage) => {
      const client = openAi(await upstream('silent'), 1);
      return meanwhile(stage, () => complete(client));
    },
  },
  {
    what: 'an upstream that is cut in the middle of an answer',
    source: 'openai',
    look: 'TypeError TypeError -',
    noise: NEVER,
    provoke: async (stage) => {
      const client = openAi(await upstream('cutting'));
      return meanwhile(stage, async () => readAll(await complete(client)));
    },
  },
  {
    what: 'no server listens',
    source: 'openai',
    look: 'APIConnectionError Error -',
    noise: NEVER,
    provoke: async (stage) => {
      const client = openAi(await nobody());
      return meanwhile(stage, () => complete(client));
    },
  },
  {
    what: 'an error of the provider',
    source: 'openai',
    look: 'InternalServerError Error -',
    noise: NEVER,
    provoke: async (stage) => {
      const client = openAi(await upstream('failing'));
      return meanwhile(stage, () => complete(client));
    },
  },
];

const claude = (baseURL: string): Anthropic =>
  new Anthropic({ baseURL, apiKey: 'none', maxRetries: 0 });

const QUESTION = {
  model: 'm',
  max_tokens: 1,
  messages: [{ role: 'user' as const, content: 'hello' }],
};

const anthropic: readonly Case[] = [
  {
    what: 'a message with a signal, before the response',
    source: 'anthropic',
    look: 'APIUserAbortError APIUserAbortError -',
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const client = claude(await upstream('silent'));
      return abortAfter(stage, (signal) =>
        client.messages.create({ ...QUESTION, stream: true }, { signal }),
      );
    },
  },
  {
    what: 'stream().abort() in the answer',
    source: 'anthropic',
    look: 'APIUserAbortError APIUserAbortError -',
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const stream = claude(await upstream('silent')).messages.stream(QUESTION);
      const error = rejection(stream.finalMessage());
      await stage.depart();
      stream.abort();
      return error;
    },
  },
  {
    what: 'an upstream that is cut in the middle of an answer',
    source: 'anthropic',
    look: 'TypeError TypeError -',
    noise: NEVER,
    provoke: async (stage) => {
      const client = claude(await upstream('cutting'));
      return meanwhile(stage, async () =>
        readAll(await client.messages.create({ ...QUESTION, stream: true })),
      );
    },
  },
  {
    what: 'a rate limit whose text says aborted',
    source: 'anthropic',
    look: 'RateLimitError RateLimitError -',
    noise: NEVER,
    provoke: async (stage) => {
      const client = claude(await upstream('busy'));
      return meanwhile(stage, () => client.messages.create(QUESTION));
    },
  },
];

const model = (url: string) => createOpenAI({ apiKey: 'none', baseURL: `${url}/v1` }).chat('m');

const aiSdk: readonly Case[] = [
  {
    what: 'generateText with a signal',
    source: 'ai',
    look: DOM_ABORT,
    noise: ONLY_WITHOUT_CLIENT,
    provoke: async (stage) => {
      const url = await upstream('silent');
      return abortAfter(stage, (abortSignal) =>
        generateText({ model: model(url), prompt: 'hello', abortSignal }),
      );
    },
  },
  {
    what: "the text of a streamText under the stream's own signal",
    source: 'ai',
    look: DOM_ABORT,
    noise: { left: true, stopped: true, closing: true },
    provoke: async (stage) => {
      const url = await upstream('speaking');
      return ours(stage, (abortSignal) =>
        Promise.resolve(streamText({ model: model(url), prompt: 'hello', abortSignal }).text),
      );
    },
  },
  {
    what: 'generateText, an error of the provider after retries',
    source: 'ai',
    look: 'RetryError AI_RetryError -',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('failing');
      return meanwhile(stage, () =>
        generateText({ model: model(url), prompt: 'hello', maxRetries: 1 }),
      );
    },
  },
  {
    what: 'generateText, upstream hangs up',
    source: 'ai',
    look: 'APICallError AI_APICallError -',
    noise: NEVER,
    provoke: async (stage) => {
      const url = await upstream('cutting');
      return meanwhile(stage, () =>
        generateText({ model: model(url), prompt: 'hello', maxRetries: 0 }),
      );
    },
  },
];

export const CLIENTS: readonly Case[] = [...undici, ...openai, ...anthropic, ...aiSdk];
