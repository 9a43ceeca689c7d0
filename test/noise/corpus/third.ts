/** Errors that chat backends meet in production, labelled without knowledge of how the classifier decides. */
import { execFile } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createOpenAI } from '@ai-sdk/openai';
import Anthropic from '@anthropic-ai/sdk';
import { generateText } from 'ai';
import { request } from 'undici';
import { serve } from '../../support/test-server.ts';
import type { Case, Stage } from './case.ts';
import { callbackError, meanwhile, nobody, ours, rejection, upstream } from './provoke.ts';
import {
  ask,
  drain,
  ended,
  isThere,
  limited,
  QUESTION,
  starved,
  twice,
  webBody,
} from './third-scenery.ts';

const NOISE: readonly Case[] = [
  {
    what: 'the body of a fetch under the signal',
    source: 'fetch',
    look: ['DOMException AbortError 20', 'DOMException TimeoutError 23'],
    noise: { left: true, there: false, stopped: true },
    provoke: async (stage) => {
      const answer = await fetch(await upstream('speaking'), { signal: limited(stage) });
      return ours(stage, () => drain(answer.body));
    },
  },
  {
    what: 'the body of an undici request under the signal',
    source: 'undici',
    look: ['DOMException AbortError 20', 'DOMException TimeoutError 23'],
    noise: { left: true, there: false },
    provoke: async (stage) => {
      const { body } = await request(await upstream('speaking'), { signal: limited(stage) });
      return ours(stage, () => drain(body));
    },
  },
  {
    what: 'an openai call under the signal, or its time-out',
    source: 'openai',
    look: ['APIUserAbortError Error -', 'APIConnectionTimeoutError Error -'],
    noise: { left: true, there: false, stopped: true },
    provoke: async (stage) => {
      const url = await upstream('silent');
      return ours(stage, (signal) => ask(url, signal, isThere(stage) ? 50 : 600_000));
    },
  },
  {
    what: 'an anthropic call under the signal, or its 500',
    source: 'anthropic',
    look: ['APIUserAbortError APIUserAbortError -', 'InternalServerError InternalServerError -'],
    noise: { left: true, there: false },
    provoke: async (stage) => {
      const baseURL = await upstream(isThere(stage) ? 'failing' : 'silent');
      const { messages } = new Anthropic({ apiKey: 'k', baseURL, maxRetries: 0 });
      const body = { model: 'm', max_tokens: 9, messages: [...QUESTION] };
      return ours(stage, (signal) => messages.create(body, { signal }));
    },
  },
  {
    what: 'generateText under the signal, or its 500',
    source: 'ai',
    look: ['DOMException AbortError 20', 'APICallError AI_APICallError -'],
    noise: { left: true, there: false },
    provoke: async (stage) => {
      const baseURL = await upstream(isThere(stage) ? 'failing' : 'silent');
      const model = createOpenAI({ apiKey: 'k', baseURL }).chat('m');
      return ours(stage, (abortSignal) =>
        generateText({ model, prompt: 'hello', abortSignal, maxRetries: 0 }),
      );
    },
  },
  {
    what: 'http.get under the signal, or given up by a timer',
    source: 'node:http',
    look: ['AbortError AbortError ABORT_ERR', 'Error Error -'],
    noise: { left: true, there: false },
    provoke: async (stage) => {
      const outgoing = get(await upstream('silent'), { signal: stage.handle.signal });
      if (isThere(stage)) {
        outgoing.setTimeout(50, () => outgoing.destroy(new Error('the provider is silent')));
      }
      return ours(stage, () => once(outgoing, 'response'));
    },
  },
  {
    what: 'a pipeline from the provider into the response, or its provider cut',
    source: 'node:stream',
    look: ['Error Error ERR_STREAM_PREMATURE_CLOSE', 'TypeError TypeError -'],
    noise: { left: true, there: false },
    provoke: async (stage) => {
      const answer = await fetch(await upstream(isThere(stage) ? 'cutting' : 'speaking'));
      return ours(stage, () => pipeline(webBody(answer), stage.res));
    },
  },
  {
    what: 'a write to the response after its client left, or after its end',
    source: 'node:http',
    look: ['Error Error ERR_STREAM_DESTROYED', 'Error Error ERR_STREAM_WRITE_AFTER_END'],
    noise: { left: true, there: false },
    provoke: async (stage) => {
      await stage.depart();
      if (isThere(stage)) stage.res.end();
      return callbackError((done) => stage.res.write('two ', done));
    },
  },
  {
    what: 'a request body that breaks off, or is not JSON',
    source: 'node:http',
    look: ['Error Error ECONNRESET', 'SyntaxError SyntaxError -'],
    noise: { left: true, there: false },
    asking: { method: 'POST', headers: { 'content-length': '10' }, body: '{"ask"' },
    provoke: (stage) =>
      ours(stage, async () => {
        if (isThere(stage)) stage.httpClient.send('oops');
        let text = '';
        for await (const piece of stage.req) text += String(piece);
        JSON.parse(text);
      }),
  },
  {
    what: 'an abort under the signal inside two causes',
    source: 'wrapped',
    look: 'Error Error -',
    noise: { left: true, there: false, stopped: true },
    provoke: async (stage) => {
      const url = await upstream('silent');
      const cause = await ours(stage, () => fetch(url, { signal: limited(stage) }));
      return new Error('answer failed', { cause: new Error('model call failed', { cause }) });
    },
  },
  {
    what: 'two providers raced under the signal, or both unreachable',
    source: 'wrapped',
    look: 'AggregateError AggregateError -',
    noise: { left: true, there: false, stopped: true },
    provoke: async (stage) => {
      const urls = await Promise.all(
        isThere(stage) ? [nobody(), nobody()] : [upstream('silent'), upstream('silent')],
      );
      return ours(stage, (signal) => Promise.any(urls.map((url) => fetch(url, { signal }))));
    },
  },
  {
    what: 'the pause before a retry under the signal',
    source: 'node:timers',
    look: 'AbortError AbortError ABORT_ERR',
    noise: { left: true, there: false, stopped: true },
    provoke: (stage) => ours(stage, () => sleep(60_000, undefined, { signal: limited(stage) })),
  },
  {
    what: 'a tool of the model under the signal, or one that is not installed',
    source: 'node:child_process',
    look: ['AbortError AbortError ABORT_ERR', 'Error Error ENOENT'],
    noise: { left: true, there: false, stopped: true },
    provoke: (stage) => {
      const tool = isThere(stage) ? '/no/such/tool' : process.execPath;
      const args = ['-e', 'setTimeout(() => {}, 60000)'];
      return ours(stage, (signal) => promisify(execFile)(tool, args, { signal }));
    },
  },
  {
    what: 'finished() of the response, or of a cut provider',
    source: 'node:stream',
    look: ['Error Error ERR_STREAM_PREMATURE_CLOSE', 'TypeError TypeError -'],
    noise: { left: true, there: false },
    provoke: async (stage) => {
      if (!isThere(stage)) return ours(stage, () => finished(stage.res));
      const answer = await fetch(await upstream('cutting'));
      return rejection(finished(Readable.from(answer.body ?? []).resume()));
    },
  },
];

/** A failure that the departure has nothing to do with. */
function failure(
  source: string,
  what: string,
  look: Case['look'],
  start: (stage: Stage) => PromiseLike<unknown>,
): Case {
  const noise = { left: false, there: false, stopped: false };
  return { what, source, look, noise, provoke: (stage) => meanwhile(stage, () => start(stage)) };
}

/** The same, where `start` gives the error back. */
function given(source: string, what: string, look: Case['look'], start: Case['provoke']): Case {
  return { what, source, look, noise: { left: false, there: false }, provoke: start };
}

const FAILURES: readonly Case[] = [
  failure('openai', 'a provider that is down', 'APIConnectionError Error -', async () =>
    ask(await nobody()),
  ),
  failure('fetch', 'a name without an address', 'TypeError TypeError -', () =>
    fetch(`http://${'a'.repeat(64)}.test/`),
  ),
  failure('fetch', 'a certificate nobody trusts', 'TypeError TypeError -', async () => {
    const { url } = await serve((_req, res) => res.end(), 'https');
    return fetch(url);
  }),
  failure('openai', 'a 429 that says "aborted"', 'RateLimitError Error -', async () =>
    ask(await upstream('busy')),
  ),
  failure('anthropic', 'a 500', 'InternalServerError InternalServerError -', async () => {
    const client = new Anthropic({
      apiKey: 'k',
      baseURL: await upstream('failing'),
      maxRetries: 0,
    });
    return client.messages.create({ model: 'm', max_tokens: 9, messages: [...QUESTION] });
  }),
  failure('openai', 'a frame that is not JSON', 'SyntaxError SyntaxError -', async () => {
    const { url } = await serve((_req, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {"aborted\n\n');
    });
    return drain(await ask(url));
  }),
  failure('openai', 'a provider that cuts its answer', 'TypeError TypeError -', async () =>
    drain(await ask(await upstream('cutting'))),
  ),
  given(
    'fetch',
    "the fixture's time limit, and then the departure",
    'DOMException TimeoutError 23',
    async (stage) => {
      const limit = AbortSignal.any([stage.handle.signal, AbortSignal.timeout(50)]);
      const error = await rejection(fetch(await upstream('silent'), { signal: limit }));
      await stage.depart();
      return error;
    },
  ),
  given(
    'fetch',
    'a shared call that another part aborts with its reason',
    'Error Error -',
    async (stage) => {
      const pool = new AbortController();
      const error = rejection(fetch(await upstream('silent'), { signal: pool.signal }));
      await stage.depart();
      pool.abort(new Error('the model pool is drained: out of quota'));
      return error;
    },
  ),
  failure(
    'node:events',
    "an abort that the fixture's time limit caused",
    'AbortError AbortError ABORT_ERR',
    () => once(new EventEmitter(), 'ready', { signal: AbortSignal.timeout(50) }),
  ),
  given('pg', 'a duplicate key', 'DatabaseError error 23505', async (stage) => {
    await stage.depart();
    return twice(stage.connectionString);
  }),
  given(
    'pg',
    'a terminated backend in an error that says "aborted"',
    'Error Error -',
    async (stage) => {
      await stage.depart();
      const cause = await ended(stage.connectionString);
      return new Error('request aborted: the answer was not saved', { cause });
    },
  ),
  given('pg', 'a pool without a free client', 'Error Error -', async (stage) => {
    await stage.depart();
    return starved(stage.connectionString);
  }),
  given(
    'wrapped',
    'an abort under the signal beside a duplicate key',
    'AggregateError AggregateError -',
    async (stage) => {
      const url = await upstream('silent');
      const abort = await ours(stage, () => fetch(url, { signal: limited(stage) }));
      return new AggregateError([abort, await twice(stage.connectionString)], 'cleaning failed');
    },
  ),
  failure(
    'program',
    'a frame without choices that the close listener reads',
    'TypeError TypeError -',
    async (stage) => {
      const frame = JSON.parse('{}') as { choices: { delta: string }[] };
      stage.res.write(frame.choices[0]?.delta);
    },
  ),
  failure('node:fs', 'a prompt that is not there', 'Error Error ENOENT', () =>
    readFile('/no/such/prompt.md'),
  ),
];

export const CASES: readonly Case[] = [...NOISE, ...FAILURES];
