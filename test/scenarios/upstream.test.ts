/** Upstreams that die, stall or just stop, through the ways a handler passes them on. */
import { get, type IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createOpenAI } from '@ai-sdk/openai';
import { streamText } from 'ai';
import type { RequestHandler } from 'express';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../src/index.ts';
import { createChat } from '../support/chat.ts';
import { chatChunk, FAMILIES, readDeltas, sse } from '../support/frames.ts';
import { createFullFixture, type FullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { installTracing } from '../support/tracing.ts';
import { createUpstream, type Upstream } from '../support/upstream.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

type MakeHandler = (upstream: Upstream, fixture: FullFixture) => RequestHandler;

const byOpenAi: MakeHandler = (upstream) => async (_, res) => {
  const openai = new OpenAI({ baseURL: upstream.baseURL, apiKey: 'none', maxRetries: 0 });
  const stream = await openai.chat.completions.create({
    model: 'm',
    messages: [{ role: 'user', content: 'hello' }],
    stream: true,
  });
  res.type('text/event-stream');
  for await (const chunk of stream) res.write(`data: ${JSON.stringify(chunk)}\n\n`);
  res.end();
};

const byFetchAndPipeline: MakeHandler = (upstream) => async (_, res) => {
  const { body } = await fetch(`${upstream.baseURL}/chat/completions`);
  if (body === null) throw new Error('no body');
  res.type('text/event-stream');
  await pipeline(Readable.fromWeb(body), res);
};

const byHttpAndPipeline: MakeHandler = (upstream) => async (_, res) => {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${upstream.baseURL}/chat/completions`, resolve).on('error', reject);
  });
  res.type('text/event-stream');
  await pipeline(answer, res);
};

/** The SDK reads, and writes a stream of its own. */
const byAiSdk: MakeHandler = (upstream) => async (_, res) => {
  const provider = createOpenAI({ baseURL: upstream.baseURL, apiKey: 'none' });
  const result = streamText({ model: provider.chat('m'), prompt: 'hello', maxRetries: 0 });
  await result.pipeUIMessageStreamToResponse(res);
};

const HANDLERS = [
  ["the openai client's loop", byOpenAi],
  ['fetch and pipeline', byFetchAndPipeline],
  ['node:http and pipeline', byHttpAndPipeline],
] as const;

describe('the upstream dies mid-body', () => {
  it.each(HANDLERS)(
    'and the partial message is kept, as a failure of the upstream: %s',
    async (_, make) => {
      const { fixture, chat, upstream } = await open(make);
      const httpClient = await chat.ask();
      const call = await upstream.call();
      call.say('The ', 'answer ');
      await httpClient.sees('answer ');
      call.cut();
      await fixture.agree({
        outcome: 'failed',
        side: 'upstream',
        text: 'The answer ',
        complete: false,
        revision: 0,
      });
      expect((await httpClient.over()).whole).toBe(false);
      expect(readDeltas(httpClient.text)).toBe('The answer ');
      expect((await fixture.scrape()).sum('lastchunk_noise_total')).toBe(0);
    },
  );

  it('and an SDK that then ends its own stream cleanly does not make it complete', async () => {
    const { fixture, chat, upstream } = await open(byAiSdk);
    const httpClient = await chat.ask();
    const call = await upstream.call();
    call.say('The ', 'answer ');
    await httpClient.sees('answer ');
    call.cut();
    // The SDK calls `end()` and then rejects.
    const verdict = { outcome: 'failed', side: 'upstream', complete: false } as const;
    await fixture.agree({ ...verdict, text: 'The answer ', revision: 1 });
    expect((await httpClient.over()).whole).toBe(true);
  });

  it.each([
    ['passed on', byFetchAndPipeline],
    ['rewritten by an SDK', byAiSdk],
  ])('or sends an error frame, which is a failure of the upstream too, %s', async (_, make) => {
    const { fixture, chat, upstream } = await open(make);
    const httpClient = await chat.ask();
    const call = await upstream.call();
    call.say('The ', 'answer ');
    call.send(sse({ error: { message: 'overloaded', type: 'server_error' } }));
    call.end();
    expect((await httpClient.over()).body.toString()).toContain('error');
    await fixture.agree({
      outcome: 'failed',
      side: 'upstream',
      text: 'The answer ',
      complete: false,
    });
  });
});

describe('the upstream stalls', () => {
  it('and idleTimeoutMs cuts the client off: timed-out, once', async () => {
    const { fixture, chat, upstream } = await open(byFetchAndPipeline, { idleTimeoutMs: 100 });
    const httpClient = await chat.ask();
    (await upstream.call()).say('The ', 'answer ');
    await fixture.agree({
      outcome: 'timed-out',
      side: 'upstream',
      text: 'The answer ',
      complete: false,
      revision: 0,
    });
    expect((await httpClient.over()).whole).toBe(false);
    expect(readDeltas(httpClient.text)).toBe('The answer ');
  });

  it('and a heartbeat does not count as progress', async () => {
    const { fixture, chat, upstream } = await open(byFetchAndPipeline, { idleTimeoutMs: 100 });
    const httpClient = await chat.ask();
    const call = await upstream.call();
    call.say('The ');
    const beating = setInterval(() => call.send(': still here\n\n'), 10);
    await fixture.agree({ outcome: 'timed-out', side: 'upstream', text: 'The ', complete: false });
    clearInterval(beating);
    expect((await httpClient.over()).whole).toBe(false);
  });

  it('and what the handler writes when the signal aborts reaches the client', async () => {
    const frame = 'data: {"error":{"message":"too slow"}}\n\n';
    const make: MakeHandler = (upstream, fixture) => async (_, res) => {
      const signal = fixture.keep.stream(res)?.signal ?? null;
      const { body } = await fetch(`${upstream.baseURL}/chat/completions`, { signal });
      res.type('text/event-stream');
      try {
        for await (const bytes of body ?? []) res.write(bytes);
      } catch {
        res.write(frame);
      }
      res.end();
    };
    const { fixture, chat, upstream } = await open(make, { idleTimeoutMs: 100 });
    const httpClient = await chat.ask();
    (await upstream.call()).say('The ');
    const reply = await httpClient.over();
    expect(reply.body.toString()).toContain(frame);
    await fixture.agree({ outcome: 'timed-out', side: 'upstream', text: 'The ', complete: false });
  });

  it('and a time-out of the handler itself is timed-out too', async () => {
    const make: MakeHandler = (upstream) => async (_, res) => {
      const signal = AbortSignal.timeout(200);
      const { body } = await fetch(`${upstream.baseURL}/chat/completions`, { signal });
      if (body === null) throw new Error('no body');
      res.type('text/event-stream');
      await pipeline(Readable.fromWeb(body), res);
    };
    const { fixture, chat, upstream } = await open(make);
    const httpClient = await chat.ask();
    (await upstream.call()).say('The ');
    await fixture.agree({ outcome: 'timed-out', side: 'upstream', text: 'The ', complete: false });
    expect((await httpClient.over()).whole).toBe(false);
    expect((await fixture.scrape()).sum('lastchunk_noise_total')).toBe(0);
  });
});

describe('the upstream ends cleanly without its finish marker', () => {
  it.each(FAMILIES.filter(({ needsFinish }) => needsFinish))(
    'and the stream is truncated: $name',
    async ({ contentType, delta }) => {
      const { fixture, chat } = await open(() => (_, res) => {
        res.setHeader('content-type', contentType);
        res.write(delta('The '));
        res.end(delta('answer '));
      });
      const reply = await (await chat.ask()).over();
      expect(reply.whole).toBe(true);
      const verdict = { outcome: 'truncated', side: 'upstream', complete: false } as const;
      expect(await fixture.agree(verdict)).toMatchObject({ content: 'The answer ' });
    },
  );

  it('but with a null finish reason and [DONE], and is complete', async () => {
    const { fixture, chat, upstream } = await open(byFetchAndPipeline);
    const httpClient = await chat.ask();
    const call = await upstream.call();
    call.say('The ', 'answer');
    call.send('data: [DONE]\n\n');
    call.end();
    expect((await httpClient.over()).whole).toBe(true);
    const verdict = { outcome: 'completed', side: 'server', complete: true } as const;
    expect(await fixture.agree(verdict)).toMatchObject({ content: 'The answer' });
  });

  it.each(['length', 'content_filter'])(
    'but with the finish reason %s, and is completed with that reason',
    async (reason) => {
      const { fixture, chat, upstream } = await open(byOpenAi);
      await chat.ask();
      const call = await upstream.call();
      call.say('The ');
      call.finish(reason);
      const verdict = { outcome: 'completed', side: 'server', complete: true } as const;
      const row = await fixture.agree(verdict);
      expect(JSON.stringify(row?.metadata)).toContain(reason);
    },
  );

  it('and the finish reason tool_calls with more text behind it is not the end of the answer', async () => {
    const { fixture, chat, upstream } = await open(byFetchAndPipeline);
    await chat.ask();
    const call = await upstream.call();
    call.send(chatChunk({ tool_calls: [{ index: 0, function: { name: 'f', arguments: '{}' } }] }));
    call.send(chatChunk({}, 'tool_calls'));
    call.say('The ', 'answer');
    call.finish();
    const verdict = { outcome: 'completed', side: 'server', revision: 0 } as const;
    expect(await fixture.agree(verdict)).toMatchObject({ content: 'The answer', complete: true });
  });
});

describe('a handler of any style', () => {
  it.each([...HANDLERS, ["an SDK's own writer", byAiSdk] as const])(
    'keeps a whole answer: %s',
    async (_, make) => {
      const { fixture, chat, upstream } = await open(make);
      const httpClient = await chat.ask();
      const call = await upstream.call();
      call.say('The ', 'answer ', 'is 42.');
      call.finish();
      const reply = await httpClient.over();
      expect(reply.whole).toBe(true);
      expect(reply.body.toString()).toContain('is 42.');
      await fixture.agree({
        outcome: 'completed',
        side: 'server',
        text: 'The answer is 42.',
        complete: true,
        revision: 0,
      });
      expect((await fixture.scrape()).sum('lastchunk_holds_total', { released: 'saved' })).toBe(1);
    },
  );
});

async function open(make: MakeHandler, options?: GuardOptions) {
  const fixture = await createFullFixture(database, spans);
  const upstream = await createUpstream();
  const chat = await createChat(fixture, make(upstream, fixture), options);
  return { fixture, upstream, chat };
}
