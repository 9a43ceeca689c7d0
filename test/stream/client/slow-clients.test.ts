/** Clients that take what they are sent slowly or not at all, where more than a plain response stands between. */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { connect, type Http2ServerResponse } from 'node:http2';
import { gunzipSync } from 'node:zlib';
import compression from 'compression';
import express from 'express';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Lastchunk } from '../../../src/index.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve, serveHttp2 } from '../../support/test-server.ts';
import { soon, turns, until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';

const KIB = 1024;
const MIB = 1024 * KIB;

/** More than fits into the buffers of a connection that nobody reads from, in pieces that do not compress. */
const PIECES = Array.from({ length: 56 }, () => randomBytes(192 * KIB).toString('base64'));

/** Writes all pieces as a careful handler does; returns those written before its stream had an outcome. */
function sayAll(keep: Lastchunk, res: ServerResponse) {
  const written: string[] = [];
  let drained: () => void = () => undefined;
  // One listener for all: compression() never gives back those of `once`.
  res.on('drain', () => drained());
  const say = async (): Promise<void> => {
    for (const piece of PIECES) {
      if (keep.stream(res)?.outcome === undefined) written.push(piece);
      if (res.write(piece)) continue;
      await new Promise<void>((resolve) => {
        drained = resolve;
      });
    }
    res.end();
  };
  return { written, over: say() };
}

describe('a stop, while the client reads nothing,', () => {
  it.each(['plain', 'through compression()'])(
    'unblocks a handler that waits for drain: %s',
    async (how) => {
      const instance = createInMemoryInstance();
      const compressed = how !== 'plain';
      let said: ReturnType<typeof sayAll> | undefined;
      const app = express();
      if (compressed) app.use(compression({ threshold: 0 }));
      app.get('/', instance.keep.guard({ maxBytes: 64 * MIB }), (_, res) => {
        res.type('text/plain');
        said = sayAll(instance.keep, res);
      });
      app.delete('/streams/:streamId', instance.keep.stopHandler({ authorize: () => true }));
      const testServer = await serve(app);
      const httpClient = await openClient(testServer, '/', {
        headers: { 'accept-encoding': 'gzip' },
      });
      const id = await until('the head', () => httpClient.reply?.headers['x-stream-id']);
      httpClient.pause();
      await until('the socket is full', () => testServer.sockets[0]?.writableNeedDrain === true);
      const answer = await fetch(`${testServer.url}/streams/${id}`, { method: 'DELETE' });
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({ outcome: 'stopped', save: 'saved' });
      const { written, over } = await until('the handler runs', () => said);
      await soon('the handler', over);
      expect(written.length).toBeLessThan(PIECES.length);
      expect(instance.store.row).toMatchObject({ outcome: 'stopped', complete: false });
      expect(instance.store.row.text === written.join('')).toBe(true);
      httpClient.resume();
      const { body, whole } = await httpClient.over();
      expect(whole).toBe(true);
      const text = compressed ? gunzipSync(body).toString() : body.toString();
      expect(text === written.join('')).toBe(true);
      expect(await instance.recorded.ended()).toMatchObject({ outcome: 'stopped', save: 'saved' });
    },
  );
});

describe('stallTimeoutMs over HTTP/2', () => {
  it('ends a stream that its client does not read, even if others on the connection progress', async () => {
    const instance = createInMemoryInstance();
    const slow = instance.keep.guard(
      { route: '/slow', stallTimeoutMs: 300, policy: { disconnected: 'keep' } },
      async (_, res: ServerResponse) => {
        res.setHeader('content-type', 'text/plain');
        // As most handlers do: without a look at what write() returns.
        while (instance.keep.stream(res)?.outcome === undefined) {
          res.write('x'.repeat(4 * KIB));
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
    );
    const busy = async (res: Http2ServerResponse): Promise<void> => {
      res.setHeader('content-type', 'text/plain');
      while (!res.destroyed) {
        res.write('tick ');
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    const { url } = await serveHttp2(
      (req, res) => void (req.url === '/slow' ? slow(req, res) : busy(res)),
    );
    const session = connect(url);
    onTestFinished(() => session.destroy());
    const other = session.request({ ':path': '/busy' });
    let ticks = 0;
    other.on('data', () => (ticks += 1));
    await until('the other stream moves', () => ticks > 1);
    // Nobody reads it: its window stays closed.
    const stalled = session.request({ ':path': '/slow' });
    stalled.on('error', () => {
      // The server resets it.
    });
    stalled.pause();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
      save: 'saved',
    });
    const before = ticks;
    await until('the other stream goes on', () => ticks > before);
    expect(other.destroyed).toBe(false);
  });

  it('does not end a stream that is read slowly', async () => {
    const instance = createInMemoryInstance();
    const guarded = instance.keep.guard(
      { route: '/', stallTimeoutMs: 300, maxBytes: 64 * MIB },
      (_, res: ServerResponse) => {
        res.setHeader('content-type', 'text/plain');
        // One chunk, of which for a long time only the connection knows how far it is.
        res.write(PIECES.slice(0, 8).join(''));
        res.end();
      },
    );
    const { url } = await serveHttp2((req, res) => void guarded(req, res));
    const session = connect(url);
    onTestFinished(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    let bytes = 0;
    let isOver = false;
    stream.on('data', (piece: Buffer) => (bytes += piece.length));
    stream.on('close', () => (isOver = true));
    while (!isOver) {
      stream.pause();
      await new Promise((resolve) => setTimeout(resolve, 40));
      stream.resume();
      await turns(1);
    }
    expect(bytes).toBe(PIECES.slice(0, 8).join('').length);
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed' });
  });
});
