/** What counts as a stream, and what only a stream gets. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import { describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../../src/index.ts';
import { chatChunk, line } from '../../support/frames.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { openClient } from '../../support/http-client.ts';

type Act = (req: IncomingMessage, res: ServerResponse) => void;

interface Shape {
  readonly name: string;
  readonly act: Act;
  readonly options?: GuardOptions;
  readonly method?: string;
  /** False where the app's headers are already built when it is known to be a stream. */
  readonly named?: boolean;
}

const SSE = 'text/event-stream';
const FRAME = chatChunk({ content: 'hello' }) + chatChunk({}, 'stop');

function typed(type: string | undefined, act: (res: ServerResponse) => void, status = 200): Act {
  return (_, res) => {
    res.statusCode = status;
    if (type !== undefined) res.setHeader('content-type', type);
    act(res);
  };
}

const writes = (res: ServerResponse): void => {
  res.write(FRAME);
  res.end();
};
const endsWhole = (res: ServerResponse): void => void res.end(FRAME);
const flushes = (res: ServerResponse): void => {
  res.flushHeaders();
  setImmediate(() => res.end(FRAME));
};

const STREAMING_TYPES = [
  SSE,
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/json-seq',
  'application/jsonlines',
  'application/x-jsonlines',
  'application/x-json-stream',
  'application/stream+json',
  'text/markdown',
  'text/event-stream; charset=utf-8',
  'Text/Event-Stream;charset=UTF-8',
];

const STREAMS: readonly Shape[] = [
  ...STREAMING_TYPES.flatMap((type): Shape[] => [
    { name: `${type} by writes`, act: typed(type, writes) },
    { name: `${type} in one end()`, act: typed(type, endsWhole) },
    { name: `${type} by flushHeaders()`, act: typed(type, flushes) },
  ]),
  { name: 'text/plain by writes', act: typed('text/plain', writes) },
  { name: 'text/plain by flushHeaders()', act: typed('text/plain; charset=utf-8', flushes) },
  { name: 'no type by writes', act: typed(undefined, writes) },
  { name: 'no type by flushHeaders()', act: typed(undefined, flushes) },
  {
    name: 'text/plain by writeHead() and writes',
    named: false,
    act: (_, res) => {
      res.writeHead(200, { 'content-type': 'text/plain' });
      writes(res);
    },
  },
  {
    name: 'no type by writeHead() and writes',
    named: false,
    act: (_, res) => {
      res.writeHead(200);
      writes(res);
    },
  },
  {
    name: 'a type given to writeHead()',
    act: (_, res) => {
      res.writeHead(200, 'Fine', { 'Content-Type': SSE });
      writes(res);
    },
  },
  {
    name: 'a type given to writeHead() in a list',
    act: (_, res) => {
      res.writeHead(200, ['Content-Type', SSE, 'X-Other', '1']);
      writes(res);
    },
  },
  {
    name: 'a type that writeHead() overrides',
    act: (_, res) => {
      res.setHeader('content-type', 'text/html');
      res.writeHead(200, { 'content-type': SSE });
      writes(res);
    },
  },
  {
    name: 'text/event-stream with a length and an ETag',
    act: typed(SSE, (res) => {
      res.setHeader('content-length', Buffer.byteLength(FRAME));
      res.setHeader('etag', '"1"');
      writes(res);
    }),
  },
  {
    name: 'text/plain with a length and stream: true',
    act: typed('text/plain', (res) => {
      res.setHeader('content-length', Buffer.byteLength(FRAME));
      writes(res);
    }),
    options: { stream: true },
  },
  { name: 'status 201', act: typed(SSE, writes, 201) },
  { name: 'status 299', act: typed(SSE, writes, 299) },
  { name: 'a POST', act: typed(SSE, writes), method: 'POST' },
  {
    name: 'application/json with an explicit format',
    act: typed('application/json', (res) => {
      res.write(line({ content: 'hello' }));
      res.end();
    }),
    options: { format: 'ndjson' },
  },
  {
    name: 'text/html with stream: true',
    act: typed('text/html', writes),
    options: { stream: true },
  },
  {
    name: 'text/html with a stream function that says so',
    act: typed('text/html', writes),
    options: { stream: (res) => res.getHeader('content-type') === 'text/html' },
  },
];

const OTHERS: readonly Shape[] = [
  { name: 'text/plain in one end()', act: typed('text/plain', endsWhole) },
  { name: 'no type in one end()', act: typed(undefined, endsWhole) },
  {
    name: 'text/plain by writeHead() and one end()',
    act: (_, res) => void res.writeHead(200, { 'content-type': 'text/plain' }).end(FRAME),
  },
  {
    name: 'no type by writeHead() and one end()',
    act: (_, res) => void res.writeHead(200).end(FRAME),
  },
  ...['text/plain', 'text/markdown', undefined].flatMap((type): Shape[] =>
    [
      ['content-length', String(Buffer.byteLength(FRAME))],
      ['ETag', '"1"'],
      ['accept-ranges', 'bytes'],
    ].map(([name = '', value = '']) => ({
      name: `${type ?? 'no type'} with ${name}`,
      act: typed(type, (res) => {
        res.setHeader(name, value);
        writes(res);
      }),
    })),
  ),
  { name: 'text/event-stream with status 206', act: typed(SSE, writes, 206) },
  { name: 'text/plain with status 206', act: typed('text/plain', writes, 206) },
  { name: 'application/json by writes', act: typed('application/json', writes) },
  { name: 'text/html by writes', act: typed('text/html', writes) },
  { name: 'image/png by writes', act: typed('image/png', writes) },
  { name: 'status 404', act: typed(SSE, writes, 404) },
  { name: 'status 500', act: typed(SSE, endsWhole, 500) },
  { name: 'status 302', act: typed(SSE, writes, 302) },
  { name: 'status 204', act: typed(SSE, writes, 204) },
  { name: 'status 304', act: typed(SSE, writes, 304) },
  { name: 'a HEAD', act: typed(SSE, writes), method: 'HEAD' },
  {
    name: 'a stream function that says no',
    act: typed(SSE, writes),
    options: { stream: () => false },
  },
];

describe('a stream', () => {
  it.each(STREAMS)('begins with $name', async ({ act, options, method = 'GET', named = true }) => {
    const instance = createInMemoryInstance();
    const guard = instance.keep.guard(options ?? {}, act);
    const testServer = await serve((req, res) => void guard(req, res));
    const httpClient = await openClient(testServer, '/', { method });
    const { headers } = await httpClient.over();
    const ended = await instance.recorded.ended();
    expect(instance.recorded.starts).toBe(1);
    expect(ended).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(headers['x-stream-id']).toBe(named ? instance.store.row.streamId : undefined);
    expect(headers['x-message-id']).toBe(named ? instance.store.row.id : undefined);
  });
});

describe('an ordinary response', () => {
  it.each(OTHERS)('is the result of $name', async ({ act, options, method = 'GET' }) => {
    const instance = createInMemoryInstance();
    const guard = instance.keep.guard({ message: () => asked(), ...options }, act);
    let questions = 0;
    const asked = () => {
      questions += 1;
      return { conversationId: 'c' };
    };
    const testServer = await serve((req, res) => void guard(req, res));
    const httpClient = await openClient(testServer, '/', {
      method,
      headers: { connection: 'close' },
    });
    const { headers } = await httpClient.over();
    httpClient.fin();
    await instance.keep.close({ deadlineMs: 100 });
    expect(instance.recorded.told).toEqual([]);
    expect(instance.store.asked).toEqual([]);
    expect(questions).toBe(0);
    expect(headers).not.toHaveProperty('x-stream-id');
    expect(headers).not.toHaveProperty('x-message-id');
  });

  it('is the result of any helper of Express', async () => {
    const instance = createInMemoryInstance();
    const app = express().set('env', 'test');
    app.use(instance.keep.observe());
    const guard = instance.keep.guard({});
    app.get('/json', guard, (_, res) => void res.json({ a: 1 }));
    app.get('/text', guard, (_, res) => void res.type('text').send('hello'));
    app.get('/html', guard, (_, res) => void res.send('<p>hello</p>'));
    app.get('/bytes', guard, (_, res) => void res.send(Buffer.from('hello')));
    app.get('/status', guard, (_, res) => void res.sendStatus(404));
    app.get('/redirect', guard, (_, res) => res.redirect('/json'));
    app.get('/throws', guard, () => {
      throw new Error('before the headers');
    });
    const testServer = await serve(app);
    for (const path of ['json', 'text', 'html', 'bytes', 'status', 'redirect', 'throws', 'none']) {
      const httpClient = await openClient(testServer, `/${path}`);
      const { headers, whole } = await httpClient.over();
      expect(whole).toBe(true);
      expect(headers).not.toHaveProperty('x-stream-id');
    }
    await instance.keep.close({ deadlineMs: 100 });
    expect(instance.recorded.told).toEqual([]);
  });
});

describe('the two headers', () => {
  it('are omitted with headers: false', async () => {
    const { headers, instance } = await ask({ headers: false });
    expect(headers).not.toHaveProperty('x-stream-id');
    expect(headers).not.toHaveProperty('x-message-id');
    expect(instance.store.row.text).toBe('hello');
  });

  it('contain the message id of the app', async () => {
    const { headers, instance } = await ask({
      message: () => ({ id: 'mine', conversationId: 'c' }),
    });
    expect(headers['x-message-id']).toBe('mine');
    expect(instance.store.row).toMatchObject({
      id: 'mine',
      conversationId: 'c',
      role: 'assistant',
    });
  });

  it.each([
    ['a line break', 'a\r\nSet-Cookie: evil=1'],
    ['a NUL', 'a\0b'],
    ['letters that a header must not contain', 'ключ'],
  ])('never break a response: with an id of %s', async (_, id) => {
    const { headers, whole, instance } = await ask({
      message: () => ({ id, conversationId: 'c' }),
    });
    expect(whole).toBe(true);
    expect(headers).not.toHaveProperty('set-cookie');
    expect(instance.store.row.text).toBe('hello');
  });
});

it('message() is called once, at the first read, and there is a handle before the headers', async () => {
  const instance = createInMemoryInstance();
  let questions = 0;
  let handle: unknown;
  const app = express();
  app.get(
    '/:id',
    instance.keep.guard({
      message: (req) => {
        questions += 1;
        return { conversationId: new URL(req.url ?? '', 'http://x').pathname };
      },
    }),
    (_, res) => {
      const stream = instance.keep.stream(res);
      handle = { id: stream?.id, message: stream?.messageId, conversation: stream?.conversationId };
      typed(SSE, writes)(_, res);
    },
  );
  const testServer = await serve(app);
  const { headers } = await (await openClient(testServer, '/talk')).over();
  await instance.recorded.ended();
  expect(questions).toBe(1);
  expect(handle).toEqual({
    id: headers['x-stream-id'],
    message: headers['x-message-id'],
    conversation: '/talk',
  });
  expect(instance.store.row).toMatchObject({ conversationId: '/talk' });
});

async function ask(options: GuardOptions) {
  const instance = createInMemoryInstance();
  const guard = instance.keep.guard(options, typed(SSE, writes));
  const testServer = await serve((req, res) => void guard(req, res));
  const { headers, whole } = await (await openClient(testServer, '/')).over();
  await instance.recorded.ended();
  return { headers, whole, instance };
}
