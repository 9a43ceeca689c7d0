/**
 * Streaming handlers as their users write them, each from the documentation of its library or the habits of its trade, and
 * none with a word about lastchunk. `onCut` is how the stream ends when the provider drops the connection: what a
 * handler makes of that is its own affair, and where it makes nothing of it a note says so.
 */
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import Anthropic from '@anthropic-ai/sdk';
import { createOpenAI } from '@ai-sdk/openai';
import { GoogleGenAI } from '@google/genai';
import { ChatOpenAI } from '@langchain/openai';
import { streamText } from 'ai';
import { createSession } from 'better-sse';
import compression from 'compression';
import type { Request, RequestHandler, Response } from 'express';
import httpProxy from 'http-proxy';
import type { Outcome } from '../../src/core/message.ts';
import type { Api } from '../support/upstream.ts';
import { ask, deltas, openai, upstreamOf, webBody } from './asking.ts';
import { HANGS, TEXT_STREAM, UI_STREAM } from './notes.ts';

/** A way to answer with a model's words. */
export interface ChatHandler {
  readonly name: string;
  /** Whose API the provider behind it speaks; default OpenAI's. */
  readonly api?: Api;
  /** Middleware that belongs in front of the guard. */
  readonly before?: () => RequestHandler;
  readonly onCut: Extract<Outcome, 'failed' | 'truncated' | 'timed-out'>;
  /** For the table of docs/compatibility.md: what its users have to know. */
  readonly note?: string;
  /** True where it listens to the response and cancels the provider when its client leaves. */
  readonly cancels?: boolean;
  make(baseURL: string): (req: Request, res: Response) => unknown;
}

const EVENTS = 'text/event-stream';

function frame(content: string): string {
  return `data: ${JSON.stringify({ content })}\n\n`;
}

/** For the two that abort on an event. */
function abortsOn(
  source: (req: Request, res: Response) => NodeJS.EventEmitter,
): ChatHandler['make'] {
  return (baseURL) => async (req, res) => {
    const gone = new AbortController();
    source(req, res).on('close', () => gone.abort());
    res.type(EVENTS);
    for await (const content of await deltas(baseURL, gone.signal)) res.write(frame(content));
    res.end('data: [DONE]\n\n');
  };
}

/** Every handler. */
export const HANDLERS: readonly ChatHandler[] = [
  {
    name: 'openai: for await and res.write',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      const stream = await openai(baseURL).chat.completions.create({ ...ask, stream: true });
      res.type(EVENTS);
      for await (const chunk of stream) res.write(`data: ${JSON.stringify(chunk)}\n\n`);
      res.end('data: [DONE]\n\n');
    },
  },
  {
    name: 'openai: toReadableStream()',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      const stream = await openai(baseURL).chat.completions.create({ ...ask, stream: true });
      res.type('application/x-ndjson');
      await pipeline(Readable.from(stream.toReadableStream()), res);
    },
  },
  {
    name: '@anthropic-ai/sdk: messages.stream()',
    api: 'anthropic',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      const client = new Anthropic({
        baseURL: baseURL.replace(/\/v1$/, ''),
        apiKey: 'none',
        maxRetries: 0,
      });
      res.type(EVENTS);
      for await (const event of client.messages.stream({ ...ask, max_tokens: 100 })) {
        res.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
      }
      res.end();
    },
  },
  {
    name: '@google/genai: generateContentStream()',
    api: 'gemini',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      const baseUrl = baseURL.replace(/\/v1$/, '');
      const { models } = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl } });
      const chunks = await models.generateContentStream({ model: 'm', contents: 'hello' });
      res.type(EVENTS);
      for await (const { candidates } of chunks)
        res.write(`data: ${JSON.stringify({ candidates })}\n\n`);
      res.end();
    },
  },
  {
    name: 'AI SDK 6: pipeUIMessageStreamToResponse()',
    onCut: 'failed',
    note: UI_STREAM,
    make: (baseURL) => (_req, res) => {
      const provider = createOpenAI({ baseURL, apiKey: 'none' });
      const result = streamText({
        model: provider.chat('m'),
        prompt: 'hello',
        maxRetries: 0,
        onError: () => undefined,
      });
      return result.pipeUIMessageStreamToResponse(res);
    },
  },
  {
    name: 'AI SDK 6: pipeTextStreamToResponse()',
    onCut: 'failed',
    note: TEXT_STREAM,
    make: (baseURL) => (_req, res) => {
      const provider = createOpenAI({ baseURL, apiKey: 'none' });
      const result = streamText({
        model: provider.chat('m'),
        prompt: 'hello',
        maxRetries: 0,
        onError: () => undefined,
      });
      return result.pipeTextStreamToResponse(res);
    },
  },
  {
    name: 'LangChain.js: ChatOpenAI.stream()',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      const model = new ChatOpenAI({
        model: 'm',
        apiKey: 'none',
        maxRetries: 0,
        streamUsage: false,
        configuration: { baseURL },
      });
      res.type(EVENTS);
      for await (const chunk of await model.stream('hello')) {
        res.write(`data: ${JSON.stringify({ content: chunk.content })}\n\n`);
      }
      res.end('data: [DONE]\n\n');
    },
  },
  {
    name: 'fetch: pipeline(Readable.fromWeb(body), res)',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      const body = await webBody(baseURL);
      res.type(EVENTS);
      await pipeline(body, res);
    },
  },
  {
    name: 'fetch: Readable.fromWeb(body).pipe(res)',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      const body = await webBody(baseURL);
      body.on('error', (error) => res.destroy(error));
      body.pipe(res.type(EVENTS));
    },
  },
  {
    name: 'node:http: upstream.pipe(res)',
    onCut: 'timed-out',
    note: HANGS,
    make: (baseURL) => async (_req, res) => {
      const upstream = await upstreamOf(baseURL);
      upstream.pipe(res.type(EVENTS));
    },
  },
  {
    name: 'http-proxy',
    onCut: 'timed-out',
    note: HANGS,
    make: (baseURL) => {
      const proxy = httpProxy.createProxyServer({});
      return (req, res) => {
        req.url = '/chat/completions';
        proxy.web(req, res, { target: baseURL }, () => res.destroy());
      };
    },
  },
  {
    name: 'better-sse: session.push()',
    onCut: 'failed',
    make: (baseURL) => async (req, res) => {
      const session = await createSession(req, res);
      for await (const content of await deltas(baseURL)) session.push({ content });
      session.push({ done: true });
      res.end();
    },
  },
  {
    name: 'a helper of the kind res.sse(event)',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      const sse = (data: unknown): boolean => res.write(`data: ${JSON.stringify(data)}\n\n`);
      res.writeHead(200, { 'Content-Type': EVENTS, 'Cache-Control': 'no-cache' });
      for await (const content of await deltas(baseURL)) sse({ text: content });
      res.end('data: [DONE]\n\n');
    },
  },
  {
    name: "aborting on res.on('close')",
    onCut: 'failed',
    cancels: true,
    make: abortsOn((_req, res) => res),
  },
  {
    name: "aborting on req.on('close')",
    onCut: 'failed',
    cancels: true,
    make: abortsOn((req) => req),
  },
  {
    name: 'waiting for drain',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      res.type(EVENTS);
      for await (const content of await deltas(baseURL)) {
        if (!res.write(frame(content))) await once(res, 'drain');
      }
      res.end('data: [DONE]\n\n');
    },
  },
  {
    name: 'heartbeats while it waits',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      res.type(EVENTS).flushHeaders();
      const heartbeat = setInterval(() => res.write(': still here\n\n'), 5);
      try {
        for await (const content of await deltas(baseURL)) res.write(frame(content));
      } finally {
        clearInterval(heartbeat);
      }
      res.end('data: [DONE]\n\n');
    },
  },
  {
    name: 'a known Content-Length',
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      const length = Buffer.byteLength(ANSWER.map(frame).join(''));
      res.type(EVENTS).set('Content-Length', String(length));
      for await (const content of await deltas(baseURL)) res.write(frame(content));
      res.end();
    },
  },
  {
    name: 'compression() and res.flush()',
    before: () => compression(),
    onCut: 'failed',
    make: (baseURL) => async (_req, res) => {
      res.type(EVENTS);
      for await (const content of await deltas(baseURL)) {
        res.write(frame(content));
        res.flush();
      }
      res.end('data: [DONE]\n\n');
    },
  },
];

/** What the model says in these tests. */
export const ANSWER = ['The ', 'answer ', 'is ', 'here.'] as const;
