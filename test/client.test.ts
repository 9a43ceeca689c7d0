/** `lastchunk/client` in Node: fetch over real sockets, whose connections are cut. In a browser: test/browser/client.test.ts. */
import { deflateRawSync, gzipSync } from 'node:zlib';
import { DefaultChatTransport, readUIMessageStream, type UIMessage } from 'ai';
import compression from 'compression';
import express from 'express';
import OpenAI from 'openai';
import { describe, expect, it, onTestFinished } from 'vitest';
import { resumingFetch, type ResumingFetchOptions } from '../src/client.ts';
import { chatChunk } from './support/frames.ts';
import {
  createShared,
  relayed,
  type Replica,
  type ReplicaOptions,
  type Shared,
  startReplica,
} from './support/replicas.ts';
import { startTcpProxy } from './support/tcp-proxy.ts';
import { serve } from './support/test-server.ts';
import { turns, until } from './support/until.ts';

/** What a test may say of its replicas and of its client. */
interface Setting extends ReplicaOptions {
  readonly client?: Partial<ResumingFetchOptions>;
}

/** A replica behind a proxy that is cut, one that has the rest, and a fetch that asks it for that. */
async function twoReplicas({ client = {}, ...options }: Setting = {}) {
  const shared = createShared();
  const [here, there] = [await startReplica(shared, options), await startReplica(shared, options)];
  /** Requests for a rest: how each was sent. */
  const asked: Request[] = [];
  const fetch = resumingFetch({
    url: (id, offset) => `${there.server.url}/streams/${id}?offset=${offset}`,
    fetch: (input, init) => {
      const address = input instanceof Request ? input.url : String(input);
      if (address.includes('/streams/')) asked.push(new Request(input, init));
      return globalThis.fetch(input, init);
    },
    ...client,
  });
  return { shared, here, there, asked, fetch };
}

/** A proxy that goes with the test. */
async function proxyTo({ server }: Pick<Replica, 'server'>) {
  const proxy = await startTcpProxy(server.port, 'localhost');
  onTestFinished(() => proxy.close());
  return Object.assign(proxy, { url: `http://127.0.0.1:${proxy.port}` });
}

let conversations = 0;

/** Asks over a connection that can be cut; its handler has sent the head and nothing else. */
async function begin(here: Replica, fetch: typeof globalThis.fetch, init: RequestInit = {}) {
  const proxy = await proxyTo(here);
  conversations += 1;
  const id = `c${conversations}`;
  const asking = fetch(`${proxy.url}/chat/${id}`, { method: 'POST', ...init });
  const { res } = await until('its handler runs', () =>
    here.talks.find(({ res: { req } }) => req.params['id'] === id),
  );
  if (!res.headersSent) res.type('text/event-stream').flushHeaders();
  const response = await asking;
  return { proxy, res, response, seen: reading(response) };
}

/** What a client has read, for as long as it reads. */
function reading({ body }: Response) {
  const reader = body?.getReader();
  const seen = {
    bytes: Buffer.alloc(0),
    isOver: false,
    error: undefined as unknown,
    cancel: () => reader?.cancel(),
  };
  const read = async (): Promise<void> => {
    for (;;) {
      const part = await reader?.read();
      if (part === undefined || part.done) return;
      seen.bytes = Buffer.concat([seen.bytes, part.value]);
    }
  };
  noteEnd(read(), seen);
  return seen;
}

/** Says in `seen` when a reading is over, and the error that it failed with. */
function noteEnd(read: Promise<void>, seen: { isOver: boolean; error: unknown }): void {
  void read
    .catch((error: unknown) => {
      seen.error = error;
    })
    .finally(() => {
      seen.isOver = true;
    });
}

type Seen = ReturnType<typeof reading>;

const sees = (seen: Seen, text: string): Promise<unknown> =>
  until(`it sees ${text}`, () => seen.bytes.includes(text));

/** It has ended well, with this body. */
async function expectWhole(seen: Seen, body: string): Promise<void> {
  await until('it has ended', () => seen.isOver);
  expect(seen.error).toBe(undefined);
  expect(seen.bytes.toString()).toBe(body);
}

/** It has failed as its connection has. */
async function expectBroken(seen: Seen): Promise<void> {
  await until('it has failed', () => seen.isOver);
  expect(seen.error).toMatchObject({ name: 'TypeError', message: 'terminated' });
}

const HELLO = 'data: {"text":"é👋"}\n\n';
const REST = 'data: [DONE]\n\n';

describe('a body whose connection breaks', () => {
  it.each(['fin', 'rst'] as const)('resumes at every offset, byte for byte: %s', async (how) => {
    const { here, fetch } = await twoReplicas();
    const whole = Buffer.from(HELLO + REST);
    const goOn = async (offset: number): Promise<void> => {
      const { proxy, res, seen } = await begin(here, fetch);
      res.write(whole.subarray(0, offset));
      await until('it has come', () => seen.bytes.length === offset);
      proxy.cut(how);
      res.end(whole.subarray(offset));
      await expectWhole(seen, whole.toString());
    };
    await Promise.all(Array.from({ length: whole.length + 1 }, (_, offset) => goOn(offset)));
  });

  it('resumes as often as its connection breaks, also while it resumes', async () => {
    const { here, there, asked } = await twoReplicas();
    const elsewhere = await proxyTo(there);
    const fetch = resumingFetch({
      url: (id, offset) => `${elsewhere.url}/streams/${id}?offset=${offset}`,
    });
    const { proxy, res, seen } = await begin(here, fetch);
    let body = '';
    for (const word of ['one', 'two', 'three', 'four']) {
      body += word;
      res.write(word);
      await sees(seen, word);
      proxy.cut();
      elsewhere.cut('fin');
    }
    res.end(REST);
    await expectWhole(seen, body + REST);
    expect(asked).toEqual([]);
  });

  it('resumes also where it is itself a resumed response', async () => {
    const { here, there, fetch } = await twoReplicas();
    const { res } = await begin(here, fetch);
    const id = String(res.getHeader('x-stream-id'));
    const proxy = await proxyTo(there);
    res.write(HELLO);
    await until(
      'the rest is there',
      async () => (await fetch(`${there.server.url}/streams/${id}`)).ok,
    );
    const seen = reading(await fetch(`${proxy.url}/streams/${id}?offset=6`));
    await sees(seen, 'text');
    proxy.cut();
    res.end(REST);
    await expectWhole(seen, HELLO.slice(6) + REST);
  });

  it('is requested again with the headers and credentials of the request, without those of its body', async () => {
    const { here, fetch, asked } = await twoReplicas();
    const headers = { authorization: 'Bearer x', 'content-type': 'application/json' };
    const all = [
      await begin(here, fetch, { headers, body: '{}' }),
      await begin(here, (input, init) => fetch(new Request(input, init)), { headers, body: '{}' }),
    ];
    for (const { proxy, res, seen } of all) {
      res.write(HELLO);
      await sees(seen, 'text');
      proxy.cut();
      res.end(REST);
      await expectWhole(seen, HELLO + REST);
    }
    for (const request of asked) {
      expect(request.method).toBe('GET');
      expect(request.headers.get('authorization')).toBe('Bearer x');
      expect(request.headers.get('content-type')).toBe(null);
    }
    expect(asked).toHaveLength(2);
  });

  it('resumes when a server answers that was unavailable or had not yet received the stream', async () => {
    const { here, there } = await twoReplicas();
    const { url, asked } = await routeTo(there, [503, 429, 404, 502]);
    const fetch = resumingFetch({ url, giveUpAfterMs: Number.POSITIVE_INFINITY });
    const { proxy, res, seen } = await begin(here, fetch);
    res.write(HELLO);
    await sees(seen, 'text');
    proxy.cut();
    res.end(REST);
    await expectWhole(seen, HELLO + REST);
    expect(asked).toHaveLength(5);
  });

  it('resumes behind compression(), which does not count as an encoding of the app', async () => {
    const { shared, here, there } = await twoReplicas();
    const app = express().use(compression({ threshold: 0 }));
    app.get('/streams/:streamId', there.keep.resumeHandler({ authorize: () => true }));
    app.get('/compressed', here.keep.guard(), (_req, res) => {
      here.talks.push({ res, streamId: '' });
    });
    const server = await serve(app);
    const proxy = await proxyTo({ server });
    const fetch = resumingFetch({
      url: (id, offset) => `${server.url}/streams/${id}?offset=${offset}`,
    });
    const asking = fetch(`${proxy.url}/compressed`);
    const { res } = await until('its handler runs', () => here.talks[0]);
    res.type('text/event-stream').write(HELLO);
    const flush: unknown = Reflect.get(res, 'flush');
    if (typeof flush === 'function') Reflect.apply(flush, res, []);
    const response = await asking;
    expect(response.headers.get('content-encoding')).toBe('gzip');
    const seen = reading(response);
    await sees(seen, 'text');
    await relayed(shared, String(response.headers.get('x-stream-id')), HELLO);
    proxy.cut();
    res.end(REST);
    await expectWhole(seen, HELLO + REST);
  });
});

describe('a body of which no instance has the rest', () => {
  it.each([
    ['an answer without content', [204]],
    ['a stream that is still unknown', [404, 404]],
    ['an offset beyond the end', [416]],
    ['a refusal', [403]],
    ['a page of the app', ['page']],
  ] as const)('fails as its connection did: %s', async (_title, answers) => {
    const { here, there } = await twoReplicas();
    const { url, asked } = await routeTo(there, answers);
    const { proxy, res, seen } = await begin(here, resumingFetch({ url }));
    res.write(HELLO);
    await sees(seen, 'text');
    proxy.cut();
    await expectBroken(seen);
    expect(asked).toHaveLength(answers.length);
    expect(seen.bytes.toString()).toBe(HELLO);
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateRawSync],
  ] as const)('fails if the app itself has encoded it: %s', async (coding, encode) => {
    const { here, asked, fetch } = await twoReplicas();
    const body = encode(Array.from({ length: 9_000 }, (_, i) => `${i * 7_919}`).join());
    const asking = begin(here, fetch);
    const { res: begun } = await until('its handler runs', () => here.talks[0]);
    begun.set('Content-Encoding', coding).type('text/event-stream').flushHeaders();
    const { proxy, res, seen } = await asking;
    res.write(body.subarray(0, body.length / 2));
    await until('it has come', () => seen.bytes.length > 100);
    proxy.cut();
    res.end(body.subarray(body.length / 2));
    await expectBroken(seen);
    expect(asked).toHaveLength(1);
  });

  it('fails after giveUpAfterMs without a connection', async () => {
    const { here, there } = await twoReplicas();
    const { url, asked } = await routeTo(there, Array<503>(100).fill(503));
    const { proxy, res, seen } = await begin(here, resumingFetch({ url, giveUpAfterMs: 1_000 }));
    res.write(HELLO);
    await sees(seen, 'text');
    proxy.cut();
    await expectBroken(seen);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.length).toBeLessThan(8);
  });

  it('fails at once if giveUpAfterMs is 0', async () => {
    const { here, asked, fetch } = await twoReplicas({ client: { giveUpAfterMs: 0 } });
    const { proxy, res, seen } = await begin(here, fetch);
    res.write(HELLO);
    await sees(seen, 'text');
    proxy.cut();
    await expectBroken(seen);
    expect(asked).toEqual([]);
  });

  it('fails with the error that url() throws', async () => {
    const error = new Error('no such route');
    const url = (): string => {
      throw error;
    };
    const { here, fetch } = await twoReplicas({ client: { url } });
    const { proxy, seen } = await begin(here, fetch);
    proxy.cut();
    await until('it has failed', () => seen.isOver);
    expect(seen.error).toBe(error);
  });
});

describe('a client that cancels', () => {
  it.each(['while it reads', 'between two tries', 'while it reads on'] as const)(
    'aborts: %s',
    async (when) => {
      const { shared, here, there } = await twoReplicas();
      const { url, asked } = await routeTo(there, when === 'between two tries' ? [503, 503] : []);
      const left = new AbortController();
      const { signal } = left;
      const { proxy, res, seen } = await begin(here, resumingFetch({ url }), { signal });
      res.write(HELLO);
      await sees(seen, 'text');
      if (when !== 'while it reads') {
        proxy.cut();
        res.write('more');
        await until('the rest is asked for', () => asked.length > 0);
        if (when === 'while it reads on') await sees(seen, 'more');
      }
      const reason = new Error('enough');
      left.abort(reason);
      await until('it has failed', () => seen.isOver);
      expect(seen.error).toBe(reason);
      await untilNobodyReads(shared);
    },
  );

  it('cancels the body, also between two tries, and no further request is made', async () => {
    const { shared, here, there } = await twoReplicas();
    const { url, asked } = await routeTo(there, [503]);
    const { proxy, seen } = await begin(here, resumingFetch({ url }));
    proxy.cut();
    await until('the rest is asked for', () => asked.length > 0);
    await seen.cancel();
    expect(seen.error).toBe(undefined);
    await untilNobodyReads(shared);
    expect(asked).toHaveLength(1);
  });

  it('cancels the body while it resumes', async () => {
    const { shared, here, fetch } = await twoReplicas();
    const { proxy, res, seen } = await begin(here, fetch);
    proxy.cut();
    res.write(HELLO);
    await sees(seen, 'text');
    await seen.cancel();
    await untilNobodyReads(shared);
    expect(seen.error).toBe(undefined);
  });
});

describe('a response that ends well', () => {
  const open = async () => {
    const server = await serve((req, res) => {
      if (req.url === '/moved') return void res.writeHead(307, { location: '/' }).end();
      res.setHeader('x-stream-id', 'one');
      res.setHeader('set-cookie', ['a=1', 'b=2']);
      res.writeHead(201, 'Made', { 'content-type': 'application/json' });
      res.write('{"a":');
      res.end('"é"}');
    });
    return { url: server.url, fetch: resumingFetch({ url: () => `${server.url}/none` }) };
  };

  it('has the same properties and body as without resumingFetch', async () => {
    const { url, fetch } = await open();
    const facts = async (response: Response) => {
      const { status, statusText, redirected, type, url: from, ok, bodyUsed } = response;
      const clones = [response.clone(), response.clone().clone(), response.clone()];
      const [first, second, third] = clones;
      const byob = third?.body?.getReader({ mode: 'byob' });
      const bytes = await byob?.read(new Uint8Array(100));
      return {
        answer: { status, statusText, redirected, type, from, ok, bodyUsed },
        headers: [...response.headers].filter(([name]) => name !== 'date'),
        clones: [first?.url, await first?.json(), second?.redirected, await second?.blob()],
        bytes: Buffer.from(bytes?.value ?? []).toString()[0],
        text: await response.text(),
        used: response.bodyUsed,
      };
    };
    expect(await facts(await fetch(`${url}/moved`))).toEqual(
      await facts(await globalThis.fetch(`${url}/moved`)),
    );
    expect(await fetch(url)).toBeInstanceOf(Response);
    const closed = (await fetch(url)).body?.getReader({ mode: 'byob' });
    while ((await closed?.read(new Uint8Array(4)))?.done === false) await turns(1);
    await closed?.closed;
  });

  it('is returned unchanged if it is not a stream', async () => {
    const plain = new Response('text');
    const empty = new Response(null, { headers: { 'x-stream-id': 'one' } });
    const url = (): string => '/';
    expect(await resumingFetch({ url, fetch: () => Promise.resolve(plain) })('/')).toBe(plain);
    expect(await resumingFetch({ url, fetch: () => Promise.resolve(empty) })('/')).toBe(empty);
  });

  it('does not detach the chunks of its source, and has a byte stream only if its source has one', async () => {
    const chunk = Buffer.from('text');
    const source = new ReadableStream({
      start: (controller) => {
        controller.enqueue(chunk);
        controller.enqueue(Buffer.alloc(0));
        controller.close();
      },
    });
    const headers = { 'x-stream-id': 'one' };
    const fetch = resumingFetch({
      url: () => '/',
      fetch: () => Promise.resolve(new Response(source, { headers })),
    });
    const { body } = await fetch('/');
    expect(() => body?.getReader({ mode: 'byob' })).toThrow(TypeError);
    expect(await new Response(body).text()).toBe('text');
    expect(chunk.toString()).toBe('text');
  });
});

it('refuses invalid options', () => {
  // As JavaScript may call it.
  const wrong = { url: '/streams' } as unknown as ResumingFetchOptions;
  expect(() => resumingFetch(wrong)).toThrow('resumingFetch: url must be a function');
  for (const giveUpAfterMs of [-1, Number.NaN]) {
    expect(() => resumingFetch({ url: () => '/', giveUpAfterMs })).toThrow(RangeError);
  }
});

describe('a client library', () => {
  it('reads a whole answer over a broken connection: the AI SDK, sending and reconnecting', async () => {
    const { here, there, fetch } = await twoReplicas();
    const proxy = await proxyTo(here);
    const other = await proxyTo(there);
    const transport = new DefaultChatTransport({
      api: `${proxy.url}/chat/ai`,
      fetch,
      prepareReconnectToStreamRequest: () => ({ api: `${other.url}/chat/ai/stream` }),
    });
    const asking = transport.sendMessages({
      trigger: 'submit-message',
      chatId: 'ai',
      messageId: undefined,
      messages: [],
      abortSignal: undefined,
    });
    const { res } = await until('its handler runs', () => here.talks[0]);
    const say = (part: object): boolean => res.write(`data: ${JSON.stringify(part)}\n\n`);
    res.type('text/event-stream').set('x-vercel-ai-ui-message-stream', 'v1');
    say({ type: 'start' });
    say({ type: 'text-start', id: 't' });
    say({ type: 'text-delta', id: 't', delta: 'hel' });
    const told = textOf(await asking);
    await until('it has come', () => told.text === 'hel');
    const back = await until('it is known', () => transport.reconnectToStream({ chatId: 'ai' }));
    const again = textOf(back);
    await until('it has come again', () => again.text === 'hel');
    proxy.cut();
    other.cut();
    say({ type: 'text-delta', id: 't', delta: 'lo' });
    say({ type: 'text-end', id: 't' });
    say({ type: 'finish' });
    res.end('data: [DONE]\n\n');
    await until('both are over', () => told.isOver && again.isOver);
    expect([told.text, again.text]).toEqual(['hello', 'hello']);
    expect([told.error, again.error]).toEqual([undefined, undefined]);
    expect(await transport.reconnectToStream({ chatId: 'ai' })).toBe(null);
  });

  it('reads a whole answer over a broken connection: openai', async () => {
    const { here, fetch } = await twoReplicas();
    const proxy = await proxyTo(here);
    const client = new OpenAI({ baseURL: proxy.url, apiKey: 'none', fetch, maxRetries: 0 });
    const asking = client.chat.completions.create({ model: 'm', messages: [], stream: true });
    const { res } = await until('its handler runs', () => here.talks[0]);
    res.type('text/event-stream').write(chatChunk({ content: 'hel' }));
    let text = '';
    for await (const { choices } of await asking) {
      text += choices[0]?.delta.content ?? '';
      if (text !== 'hel') continue;
      proxy.cut();
      res.write(chatChunk({ content: 'lo' }));
      res.end(`${chatChunk({}, 'stop')}data: [DONE]\n\n`);
    }
    expect(text).toBe('hello');
  });
});

/** What the AI SDK's client makes of a stream of an answer. */
function textOf(stream: Awaited<ReturnType<DefaultChatTransport<UIMessage>['sendMessages']>>) {
  const seen = { text: '', isOver: false, error: undefined as unknown };
  const read = async (): Promise<void> => {
    for await (const { parts } of readUIMessageStream({ stream, terminateOnError: true })) {
      seen.text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
    }
  };
  noteEnd(read(), seen);
  return seen;
}

/** A route for the rest that first gives some answers of its own, and then those of a replica. */
async function routeTo({ server }: Replica, answers: readonly (number | 'page')[]) {
  const asked: string[] = [];
  const route = await serve((req, res) => {
    const answer = answers[asked.length];
    asked.push(String(req.url));
    if (answer === 'page') res.setHeader('content-type', 'text/html').end('<!doctype html>');
    else if (answer === undefined)
      res.writeHead(307, { location: `${server.url}${req.url}` }).end();
    else res.writeHead(answer).end();
  });
  const url = (id: string, offset: number): string => `${route.url}/streams/${id}?offset=${offset}`;
  return { url, asked };
}

/** No reader is left on any replica, as the relay is told. */
async function untilNobodyReads({ relay }: Shared): Promise<void> {
  const told = relay.exchanges.length;
  await until('nobody reads', () =>
    relay.exchanges.slice(told).some(({ following }, index, all) =>
      // Each of the two says so.
      all
        .slice(index)
        .some(
          (other) =>
            other.instance !== all[index]?.instance &&
            following.length + other.following.length === 0,
        ),
    ),
  );
}
