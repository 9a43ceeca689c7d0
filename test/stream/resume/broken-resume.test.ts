/** Resumed responses that cannot go on: clients that leave, streams that are cut, engines that fail. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { chatChunk } from '../../support/frames.ts';
import { openClient } from '../../support/http-client.ts';
import { beginHello, HELLO, relayed, resume } from '../../support/replicas.ts';
import { serve, serveHttp2 } from '../../support/test-server.ts';
import { turns, until } from '../../support/until.ts';

describe('a client that leaves while a function of the app runs', () => {
  it.each(['find', 'authorize'] as const)('is not counted as a reader: %s', async (asked) => {
    const { here, talk } = await beginHello();
    let answer = (): void => undefined;
    let isAsked = false;
    const wait = (): Promise<void> => {
      isAsked = true;
      return new Promise((resolve) => {
        answer = resolve;
      });
    };
    const target = { streamId: talk.streamId };
    const resumed = here.keep.resumeHandler({
      find: async () => (asked === 'find' ? wait().then(() => target) : target),
      authorize: async (req) => {
        if (asked === 'authorize' && req.url === '/left') await wait();
        return true;
      },
      maxReaders: 1,
    });
    let closed = 0;
    const server = await serve((req, res) => {
      if (req.url === '/left') res.on('close', () => (closed += 1));
      void resumed(req, res);
    });
    const left = await openClient(server, '/left');
    await until('the app is asked', () => isAsked);
    left.rst();
    await until('it has left', () => closed === 1);
    answer();
    await turns();
    const next = await openClient(server, '/next');
    await until('the app is asked again', () => asked === 'authorize' || isAsked);
    answer();
    await until('it has an answer', () => {
      answer();
      return next.reply !== undefined;
    });
    expect(next.reply?.status).toBe(200);
  });
});

describe('an app whose find() throws', () => {
  it('is answered with 500 if there is no next()', async () => {
    const { here } = await beginHello();
    const resumed = here.keep.resumeHandler({
      find: () => Promise.reject(new Error('no database')),
      authorize: () => true,
    });
    const server = await serve((req, res) => void resumed(req, res));
    const reply = await (await openClient(server, '/streams/any')).over();
    expect(reply.status).toBe(500);
    expect(reply.body.toString()).toBe('{"error":"internal error"}');
  });
});

describe('a stream of which the engine has less than its client saw', () => {
  it.each(['here', 'there'] as const)('is broken off when it is resumed: %s', async (where) => {
    const all = await beginHello({ guard: { maxBytes: 1_024 } });
    const { shared, talk, client } = all;
    const piece = `data: ${'x'.repeat(1_024 - HELLO.length - 8)}\n\n`;
    talk.res.write(piece);
    // All that is kept of it: from here on the bytes are dropped.
    await relayed(shared, talk.streamId, HELLO + piece);
    const reader = await resume(all[where], talk.streamId);
    await reader.sees('xxx');
    talk.res.end(chatChunk({ content: 'beyond' }) + chatChunk({}, 'stop'));
    expect((await client.over()).whole).toBe(true);
    const reply = await reader.over();
    expect(reply.whole).toBe(false);
    expect(reply.body.toString()).toBe(HELLO + piece);
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    // Also for whoever comes after the end.
    const late = await (await resume(all.there, talk.streamId)).over();
    expect(late.whole).toBe(false);
  });

  it('has no regular end if the engine no longer has it', async () => {
    const { shared, there, talk } = await beginHello();
    const reader = await resume(there, talk.streamId);
    await reader.sees('hello');
    await shared.relay.connect().purge('c');
    expect((await reader.over()).whole).toBe(false);
    expect(reader.text).toBe(HELLO);
  });
});

describe('a resumed response that is broken off', () => {
  it('over HTTP/2 does not affect other streams of its connection, even if its client is slow', async () => {
    const { shared, here, there, talk } = await beginHello();
    const piece = `data: ${'x'.repeat(65_000)}\n\n`;
    // More than the window of a stream, less than a reader is given at once: it comes together with the end.
    const body = piece.repeat(3);
    talk.res.write(body);
    await relayed(shared, talk.streamId, HELLO + body);
    talk.res.destroy();
    await here.recorded.ended();
    await until('it is settled', () => shared.relay.isSettled(talk.streamId));
    const resumed = there.keep.resumeHandler({ authorize: () => true });
    const { url } = await serveHttp2((req, res) => {
      if (req.url === '/other') res.end('other');
      else void resumed(req, res);
    });
    const session = connect(url);
    const slow = session.request({ ':path': `/streams/${talk.streamId}` });
    // It reads nothing: what its window does not take stays at the server.
    slow.on('error', () => undefined);
    await until('it is broken off', () => slow.rstCode === 2);
    const other = session.request({ ':path': '/other' });
    let text = '';
    for await (const chunk of other) text += String(chunk);
    expect(text).toBe('other');
    session.destroy();
  });

  it('over HTTP/2 has every byte that its client reads', async () => {
    const { there, here, talk } = await beginHello();
    const resumed = there.keep.resumeHandler({ authorize: () => true });
    const { url } = await serveHttp2((req, res) => void resumed(req, res));
    const session = connect(url);
    const stream = session.request({ ':path': `/streams/${talk.streamId}` });
    let text = '';
    stream.on('error', () => undefined).on('data', (chunk) => (text += String(chunk)));
    await until('it has begun', () => text === HELLO);
    talk.res.write(chatChunk({ content: ' more' }));
    talk.res.destroy();
    await here.recorded.ended();
    await until('it is broken off', () => stream.rstCode === 2);
    expect(text).toBe(HELLO + chatChunk({ content: ' more' }));
    session.destroy();
  });

  it('is destroyed if there is no connection', async () => {
    const { there, here, talk } = await beginHello();
    const resumed = there.keep.resumeHandler({ authorize: () => true });
    // As adapters of functions make it; the typings know no such request.
    const req = Object.assign(new IncomingMessage(undefined as never), {
      method: 'GET',
      url: `/streams/${talk.streamId}`,
      complete: true,
    });
    const res = new ServerResponse(req);
    void resumed(req, res);
    await until('its head is there', () => res.headersSent);
    talk.res.destroy();
    await here.recorded.ended();
    await until('it is destroyed', () => res.destroyed);
    expect(res.writableEnded).toBe(false);
  });
});

describe('a stop while the engine is unavailable', () => {
  it('is answered with 503 and logged once', async () => {
    const { shared, there, talk } = await beginHello();
    shared.relay.fail(new Error('away'));
    for (let n = 0; n < 2; n += 1) {
      const stop = await openClient(there.server, `/streams/${talk.streamId}`, {
        method: 'DELETE',
      });
      const reply = await stop.over();
      expect(reply.status).toBe(503);
      expect(reply.headers['retry-after']).toBe('1');
      expect(reply.body.toString()).toBe('{"error":"not available"}');
    }
    const told = there.logbook.lines.filter(({ text }) => text.includes('could not be stopped'));
    expect(told).toHaveLength(1);
  });
});
