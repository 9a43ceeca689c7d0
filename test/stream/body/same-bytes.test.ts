/** A response under lastchunk is the response without it: status, headers, bytes and their order. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gzipSync } from 'node:zlib';
import compression from 'compression';
import express, { type RequestHandler } from 'express';
import { describe, expect, it } from 'vitest';
import { chatChunk, family, FAMILIES } from '../../support/frames.ts';
import { joinChunks } from '../../support/join-chunks.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { dial, request, type Asking } from '../../support/http-client.ts';

type Act = (req: IncomingMessage, res: ServerResponse) => void | Promise<void>;

interface Shape {
  readonly name: string;
  readonly act: Act;
  readonly asking?: Asking;
  /** A whole request, where the usual ones will not do. */
  readonly wire?: string;
}

const FRAME = chatChunk({ content: 'hello' });
const FINISH = chatChunk({}, 'stop') + 'data: [DONE]\n\n';

function sse(act: (res: ServerResponse) => void | Promise<void>): Act {
  return (_, res) => {
    res.setHeader('content-type', 'text/event-stream');
    return act(res);
  };
}

const chat = sse((res) => {
  res.write(FRAME);
  res.write(FINISH);
  res.end();
});

const SHAPES: readonly Shape[] = [
  { name: 'a chat', act: chat },
  ...FAMILIES.map(({ name, contentType, delta, finish, after }): Shape => ({
    name: `an answer of ${name}, over many turns`,
    act: async (_, res) => {
      res.setHeader('content-type', contentType);
      for (const piece of [delta('one '), delta('two'), finish, after]) {
        if (piece !== '') res.write(piece);
        await new Promise(setImmediate);
      }
      res.end();
    },
  })),
  { name: 'an answer in one end()', act: sse((res) => void res.end(FRAME + FINISH)) },
  {
    name: 'an answer in one end() with an encoding',
    act: sse((res) => void res.end('caf\xe9', 'latin1')),
  },
  { name: 'an answer in one end() of bytes', act: sse((res) => void res.end(Buffer.from(FRAME))) },
  { name: 'an end() without a body', act: sse((res) => void res.end()) },
  { name: 'an end(callback)', act: sse((res) => void res.end(() => undefined)) },
  {
    name: 'bytes of all kinds',
    act: sse((res) => {
      res.write(Buffer.from(FRAME));
      res.write(new Uint8Array(Buffer.from(FRAME)));
      res.write(Buffer.from(FRAME).toString('base64'), 'base64');
      res.write('data: caf\xe9\n\n', 'latin1');
      res.end(Buffer.from(FINISH).toString('hex'), 'hex');
    }),
  },
  {
    name: 'empty writes',
    act: sse((res) => {
      res.write('');
      res.write(FRAME);
      res.write(Buffer.alloc(0));
      res.end('');
    }),
  },
  {
    name: 'a status message and headers in all forms',
    act: (_, res) => {
      res.setHeader('X-One', '1');
      res.setHeader('Set-Cookie', ['a=1', 'b=2']);
      res.appendHeader('X-Two', 'a');
      res.appendHeader('X-Two', 'b');
      res.writeHead(201, 'Made', { 'Content-Type': 'text/event-stream', 'X-ONE': '2' });
      res.write(FRAME);
      res.end();
    },
  },
  {
    name: 'raw headers in a list',
    act: (_, res) => {
      res.writeHead(200, ['Content-Type', 'text/event-stream', 'X-A', '1', 'X-A', '2']);
      res.end(FRAME);
    },
  },
  {
    name: 'headers flushed first',
    act: sse((res) => {
      res.flushHeaders();
      setImmediate(() => {
        res.write(FRAME);
        res.end(FINISH);
      });
    }),
  },
  {
    name: 'a Content-Length',
    act: sse((res) => {
      res.setHeader('content-length', FRAME.length * 2);
      res.write(FRAME);
      res.write(FRAME);
      res.end();
    }),
  },
  {
    name: 'a Content-Length that is not reached',
    act: sse((res) => {
      const { socket } = res;
      res.setHeader('content-length', FRAME.length + 5);
      res.write(FRAME);
      res.end();
      res.on('finish', () => socket?.end());
    }),
  },
  {
    name: 'trailers',
    act: sse((res) => {
      res.setHeader('trailer', 'X-Sum');
      res.write(FRAME);
      res.addTrailers({ 'X-Sum': '7' });
      res.end(FINISH);
    }),
  },
  {
    name: 'cork and uncork',
    act: sse((res) => {
      res.cork();
      res.write(FRAME);
      res.cork();
      res.write(FINISH);
      res.uncork();
      res.uncork();
      res.end();
    }),
  },
  { name: 'HTTP/1.0', act: chat, wire: 'GET / HTTP/1.0\r\n\r\n' },
  { name: 'a connection that closes', act: chat, asking: { headers: { connection: 'close' } } },
  { name: 'HEAD', act: chat, asking: { method: 'HEAD', headers: { connection: 'close' } } },
  {
    name: 'a body where none belongs',
    act: sse((res) => {
      res.statusCode = 204;
      res.write(FRAME);
      res.end(FINISH);
    }),
  },
  {
    name: 'information before the answer',
    act: (_, res) => {
      res.writeProcessing();
      res.writeEarlyHints({ link: '</style.css>; rel=preload' });
      res.writeContinue();
      void chat(_, res);
    },
  },
  {
    name: 'a pipeline',
    act: sse((res) =>
      pipeline(Readable.from([FRAME, Buffer.from(FINISH)], { objectMode: true }), res),
    ),
  },
  {
    name: 'an encoding of its own',
    act: sse((res) => {
      res.setHeader('content-encoding', 'gzip');
      const zipped = gzipSync(FRAME + FINISH);
      res.write(zipped.subarray(0, 9));
      res.end(zipped.subarray(9));
    }),
  },
  {
    name: 'no date, no keep-alive, no chunks',
    act: sse((res) => {
      res.sendDate = false;
      res.shouldKeepAlive = false;
      res.useChunkedEncodingByDefault = false;
      res.write(FRAME);
      res.end(FINISH);
    }),
  },
  {
    name: 'mistakes that throw',
    act: sse((res) => {
      for (const mistake of [
        () => res.write(Object(42)),
        () => res.writeHead(42),
        () => res.setHeader('bad name', '1'),
        () => res.setHeader('x-bad', 'a\nb'),
      ]) {
        try {
          mistake();
          res.write('data: no throw\n\n');
        } catch (error) {
          res.write(`data: ${error instanceof Error ? error.message : 'not an error'}\n\n`);
        }
      }
      res.end();
    }),
  },
  {
    name: 'a broken answer',
    act: sse((res) => (res.write(FRAME), setImmediate(() => res.destroy()), undefined)),
  },
  {
    name: 'plain text',
    act: (_, res) =>
      void (res.setHeader('content-type', 'text/plain'), res.write('a'), res.end('b')),
  },
  {
    name: 'plain text in one end()',
    act: (_, res) => void res.setHeader('content-type', 'text/plain').end('ab'),
  },
  { name: 'no type at all', act: (_, res) => void (res.write('a'), res.end('b')) },
  { name: 'no type in one end()', act: (_, res) => void res.writeHead(200).end('ab') },
];

const layers = {
  'observe()': ({ keep }: ReturnType<typeof createInMemoryInstance>) => keep.observe(),
  'guard()': ({ keep }: ReturnType<typeof createInMemoryInstance>) => keep.guard({}),
  both: ({ keep }: ReturnType<typeof createInMemoryInstance>) => [keep.observe(), keep.guard({})],
};

describe.each(Object.entries(layers))('%s changes no byte of', (_, layer) => {
  it.each(SHAPES)('$name', async ({ act, asking, wire }) => {
    const instance = createInMemoryInstance();
    const app = express();
    app.disable('x-powered-by');
    app.all('/', layer(instance), act);
    const bytes = wire ?? request('/', asking);
    const expected = await bytesOf(plain(act), bytes);
    const actual = await bytesOf(app, bytes);
    expect(actual).toBe(expected);
    expect(instance.recorded.internalErrors).toEqual([]);
  });
});

describe('Express under guard() sends the same bytes as without it:', () => {
  const helpers: Readonly<Record<string, RequestHandler>> = {
    json: (_, res) => void res.json({ error: 'no' }),
    send: (_, res) => void res.send('<p>hello</p>'),
    'an error page': () => {
      throw Object.assign(new Error('no tea'), { status: 418, stack: 'Error: no tea' });
    },
    'a redirect': (_, res) => res.redirect(303, '/other'),
    'a file': (_, res) => res.sendFile(fileURLToPath(import.meta.url)),
    'a cached answer': (_, res) => void res.type('text/event-stream').send(FRAME + FINISH),
    'a cached answer as bytes': (_, res) =>
      void res.type('application/x-ndjson').send(Buffer.from(family('Ollama').finish)),
  };

  it.each(Object.entries(helpers))('%s', async (_, helper) => {
    const instance = createInMemoryInstance();
    const bare = express().set('env', 'test').get('/', helper);
    const guarded = express().set('env', 'test').get('/', instance.keep.guard({}), helper);
    guarded.use(instance.keep.errorHandler());
    const bytes = request('/');
    expect(await bytesOf(guarded, bytes)).toBe(await bytesOf(bare, bytes));
  });

  it('compressed', async () => {
    const instance = createInMemoryInstance();
    const bare = express().use(compression()).get('/', chat);
    const guarded = express().use(compression()).get('/', instance.keep.guard({}), chat);
    const bytes = request('/', { headers: { 'accept-encoding': 'gzip' } });
    expect(await bytesOf(guarded, bytes)).toBe(await bytesOf(bare, bytes));
  });
});

function plain(act: Act): RequestListener {
  return (req, res) => void act(req, res);
}

/** Every byte that comes for a request, but for the date and our two headers. */
async function bytesOf(listener: RequestListener, bytes: string): Promise<string> {
  const testServer = await serve(listener);
  const httpClient = await dial(testServer);
  httpClient.send(bytes);
  await httpClient.over();
  httpClient.fin();
  return joinChunks(httpClient.raw).replaceAll(/^(?:date|x-stream-id|x-message-id): .*\r\n/gim, '');
}
