/** The terminal frame waits for the store: what is held, what passes, and how a held response looks to its handler. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { gunzipSync } from 'node:zlib';
import compression from 'compression';
import express, { type RequestHandler } from 'express';
import { describe, expect, it } from 'vitest';
import { chatChunk, FAMILIES } from '../../support/frames.ts';
import { joinChunks } from '../../support/join-chunks.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve, type TestServer } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';

type Act = (req: IncomingMessage, res: ServerResponse) => void;

const FINISH = chatChunk({}, 'stop');
const DONE = 'data: [DONE]\n\n';

describe('a terminal frame', () => {
  it.each(FAMILIES)('of $name is not on the wire until the store has answered', async (family) => {
    const { httpClient, store, recorded, settle } = await hold((_, res) => {
      res.setHeader('content-type', family.contentType);
      res.write(family.delta('hello'));
      res.write(family.finish);
      if (family.after !== '') res.write(family.after);
      res.end();
    });
    await httpClient.sees(family.delta('hello'));
    await settle();
    expect(httpClient.text).toBe(family.delta('hello'));
    expect(httpClient.reply?.whole).toBe(false);
    store.answer();
    const reply = await httpClient.over();
    expect(reply.whole).toBe(true);
    expect(reply.body.toString()).toBe(family.delta('hello') + family.finish + family.after);
    expect(await recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(recorded.holds).toEqual(['saved']);
    expect(store.row).toMatchObject({ text: 'hello', complete: true, revision: 0 });
  });

  it('is held with the content of the same chunk', async () => {
    const { httpClient, store, settle } = await hold((_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'a' }));
      res.end(chatChunk({ content: 'b' }) + FINISH + DONE);
    });
    await settle();
    expect(httpClient.text).not.toContain('"finish_reason":"stop"');
    store.answer();
    await httpClient.over();
    expect(httpClient.text).toContain('"finish_reason":"stop"');
    expect(store.row).toMatchObject({ text: 'ab', complete: true });
  });

  it.each([
    ['in the middle of its name', 'data: [DO', 'NE]\n\n'],
    ['before its blank line', 'data: [DONE]\n', '\n'],
    ['with carriage returns', 'data: [DONE]\r\n', '\r\n'],
    ['after every byte', ...DONE.split('')],
  ] as const)('split %s is held', async (_name, ...pieces) => {
    const { httpClient, store, settle } = await hold((_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(chatChunk({ content: 'a' }));
      for (const piece of pieces) res.write(piece);
      res.end();
    });
    await settle();
    expect(httpClient.text).not.toMatch(/\[DONE\]\r?\n\r?\n/);
    store.answer();
    expect((await httpClient.over()).body.toString()).toBe(
      chatChunk({ content: 'a' }) + pieces.join(''),
    );
    expect(store.row).toMatchObject({ text: 'a', complete: true });
  });

  it('is sent as the handler wrote it, even if its buffer is reused meanwhile', async () => {
    const { httpClient, store, settle } = await hold((_, res) => {
      const shared = Buffer.alloc(1024);
      const write = (text: string): boolean => res.write(shared.subarray(0, shared.write(text)));
      res.setHeader('content-type', 'text/event-stream');
      write(chatChunk({ content: 'a' }));
      setImmediate(() => {
        write(FINISH);
        setImmediate(() => {
          shared.fill('#');
          res.end();
        });
      });
    });
    await settle();
    store.answer();
    expect((await httpClient.over()).body.toString()).toBe(chatChunk({ content: 'a' }) + FINISH);
  });

  it('is released in order with everything written after it', async () => {
    const bytes = await sameBytes((_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.setHeader('trailer', 'x-tokens');
      res.write(chatChunk({ content: 'a' }));
      res.cork();
      res.write(FINISH);
      res.write(Buffer.from(': a comment\n\n'));
      res.uncork();
      res.write(Buffer.from(DONE).toString('base64'), 'base64');
      res.addTrailers({ 'x-tokens': '7' });
      res.end(': bye\n\n');
    });
    expect(bytes).toContain('x-tokens: 7\r\n\r\n');
  });

  it('behind compression() is sent with the rest when it is released, flushed or not', async () => {
    const go = createGate();
    const { httpClient, store, settle } = await hold(
      (_, res) => {
        const flush: unknown = Reflect.get(res, 'flush');
        if (typeof flush !== 'function') throw new TypeError('compression() gives a flush');
        res.setHeader('content-type', 'text/event-stream');
        const send = (...frames: readonly string[]): void => {
          for (const frame of frames) {
            res.write(frame);
            Reflect.apply(flush, res, []);
          }
        };
        send(chatChunk({ content: 'a' }));
        // What zlib has not handed down by then waits with the marker.
        void go.promise.then(() => {
          send(FINISH, DONE);
          setImmediate(() => res.end());
        });
      },
      { before: compression(), headers: { 'accept-encoding': 'gzip' } },
    );
    const sent = (): number => httpClient.reply?.body.length ?? 0;
    await until('the content is there', () => sent() > 10);
    const early = sent();
    go.open();
    await settle();
    expect(sent()).toBe(early);
    store.answer();
    const { body, headers } = await httpClient.over();
    expect(headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(body).toString()).toBe(chatChunk({ content: 'a' }) + FINISH + DONE);
    expect(store.row).toMatchObject({ text: 'a', complete: true });
  });
});

describe('end()', () => {
  it('is held completely, with its chunk', async () => {
    const { httpClient, store, settle } = await hold((_, res) => {
      res.setHeader('content-type', 'text/plain');
      res.write('one ');
      res.end('two');
    });
    await httpClient.sees('one ');
    await settle();
    expect(httpClient.text).toBe('one ');
    store.answer();
    expect((await httpClient.over()).body.toString()).toBe('one two');
    expect(store.row).toMatchObject({ text: 'one two', complete: true });
  });

  it('of an answer in one call is held with the headers', async () => {
    const { httpClient, store, settle } = await hold((_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.end(chatChunk({ content: 'cached' }) + FINISH + DONE);
    });
    await settle();
    expect(httpClient.text).toBe('');
    store.answer();
    const { headers, body } = await httpClient.over();
    // Sent in one call, Node counts it itself.
    expect(headers['content-length']).toBe(String(body.length));
    expect(store.row).toMatchObject({ text: 'cached', complete: true });
  });

  it('is not held if there is nothing to save', async () => {
    const { httpClient, store, recorded } = await hold((_, res) => {
      res.setHeader('content-type', 'text/event-stream');
      res.write(': nothing\n\n');
      res.end();
    });
    expect((await httpClient.over()).whole).toBe(true);
    expect(await recorded.ended()).toMatchObject({ save: 'empty', outcome: 'completed' });
    expect(recorded.skips).toEqual(['empty']);
    expect(recorded.holds).toEqual([]);
    expect(store.asked).toEqual([]);
  });
});

describe('a Content-Length', () => {
  it.each([
    ['setHeader', (res: ServerResponse): void => void res.setHeader('content-length', 10)],
    [
      'writeHead',
      (res: ServerResponse): void => void res.writeHead(200, { 'Content-Length': '10' }),
    ],
    ['a list', (res: ServerResponse): void => void res.writeHead(200, ['Content-Length', '10'])],
  ] as const)('given by %s makes the chunk that reaches it terminal', async (_name, head) => {
    const { httpClient, store, settle, recorded } = await hold((_, res) => {
      res.setHeader('content-type', 'application/x-ndjson');
      head(res);
      res.write('"aaa"\n');
      res.write('"b"\n');
      res.end();
    });
    await httpClient.sees('"aaa"\n');
    await settle();
    expect(httpClient.text).toBe('"aaa"\n');
    store.answer();
    expect((await httpClient.over()).body.toString()).toBe('"aaa"\n"b"\n');
    expect(await recorded.ended()).toMatchObject({ outcome: 'completed', side: 'server' });
    expect(store.row.complete).toBe(true);
  });
});

/** Serves `act` under a guard whose store holds; `settle` resolves when the save waits and a round trip has passed. */
async function hold(
  act: Act,
  { before, headers = {} }: { before?: RequestHandler; headers?: Record<string, string> } = {},
) {
  const instance = createInMemoryInstance();
  instance.store.hold();
  const app = express();
  if (before !== undefined) app.use(before);
  app.get('/ping', (_, res) => void res.send('pong'));
  app.get('/', instance.keep.guard({ confirmTimeoutMs: 60_000 }), act);
  const testServer = await serve(app);
  const httpClient = await openClient(testServer, '/', { headers });
  const settle = async (): Promise<void> => {
    await until('the store was asked', () => instance.store.waiting === 1);
    for (let count = 0; count < 3; count += 1) await ping(testServer);
  };
  return { ...instance, testServer, httpClient, settle };
}

/** A whole other request, so that what was on its way to the client has arrived. */
async function ping(testServer: TestServer): Promise<void> {
  const httpClient = await openClient(testServer, '/ping');
  await httpClient.sees('pong');
  httpClient.fin();
}

/** Compares the bytes of a bare and of a guarded, held response; returns the guarded one's. */
async function sameBytes(act: Act): Promise<string> {
  const bare = await serve(act);
  const expected = await openClient(bare, '/');
  await expected.over();
  const { httpClient, store, settle } = await hold(act);
  await settle();
  store.answer();
  await httpClient.over();
  const body = (raw: Buffer): string => joinChunks(raw).split('\r\n\r\n').slice(1).join();
  expect(body(httpClient.raw)).toBe(body(expected.raw));
  return httpClient.raw.toString();
}
