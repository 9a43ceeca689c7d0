/** Who ended it, over HTTP/2, whose `finish` does not mean what it says. */
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Middleware } from '../../../src/stream/entry/middleware.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serveHttp2 } from '../../support/test-server.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { turns, until } from '../../support/until.ts';

type Leave = (stream: ClientHttp2Stream, session: ClientHttp2Session, wire: Socket) => void;

const CAUSES = [
  {
    name: 'a normal end',
    outcome: 'completed',
    side: 'server',
    server: (res: Http2ServerResponse) => res.end('two'),
  },
  {
    name: "a client's cancelled stream",
    outcome: 'disconnected',
    side: 'client',
    client: (stream: ClientHttp2Stream) => stream.close(constants.NGHTTP2_CANCEL),
  },
  {
    name: "a client's stream that is reset without an error",
    outcome: 'disconnected',
    side: 'client',
    client: (stream: ClientHttp2Stream) => stream.close(constants.NGHTTP2_NO_ERROR),
  },
  {
    name: "a client's destroyed session",
    outcome: 'disconnected',
    side: 'client',
    client: (_: ClientHttp2Stream, session: ClientHttp2Session) => session.destroy(),
  },
  {
    name: "a client's reset connection",
    outcome: 'disconnected',
    side: 'client',
    client: (_: ClientHttp2Stream, __: ClientHttp2Session, wire: Socket) => wire.resetAndDestroy(),
  },
  {
    name: 'res.destroy(error)',
    outcome: 'failed',
    side: 'server',
    server: (res: Http2ServerResponse) => res.destroy(new Error('a mistake of ours')),
  },
  {
    name: 'res.destroy()',
    outcome: 'failed',
    side: 'server',
    server: (res: Http2ServerResponse) => res.destroy(),
  },
  {
    name: 'a handler that resets its stream with a code',
    outcome: 'failed',
    side: 'server',
    server: (res: Http2ServerResponse) => res.stream.close(constants.NGHTTP2_INTERNAL_ERROR),
  },
  {
    name: 'a handler that throws, whose caller then resets the stream',
    outcome: 'failed',
    side: 'server',
    server: () => {
      throw new Error('a mistake of ours');
    },
  },
] as const;

describe.each([false, true])('over HTTP/2 (TLS: %s)', (secure) => {
  it.each(CAUSES)('$name is $outcome by the $side', async (cause) => {
    const instance = createInMemoryInstance();
    const go = createGate();
    const guarded = instance.keep.guard(
      { route: '/', policy: { disconnected: 'keep' } },
      handler(async (_, res) => {
        res.setHeader('content-type', 'text/plain');
        res.write('one ');
        await go.promise;
        if ('server' in cause) cause.server(res);
      }),
    );
    const { url } = await serveHttp2((req, res) => {
      // Without a router the failure comes back to whoever called.
      Promise.resolve(guarded(req, res)).catch(() =>
        res.stream.close(constants.NGHTTP2_INTERNAL_ERROR),
      );
    }, secure);
    const { stream, session, wire, seen } = open(url);
    await until('the client sees the first chunk', () => seen().includes('one '));
    go.open();
    if ('client' in cause) (cause.client as Leave)(stream, session, wire);
    const ended = await instance.recorded.ended();
    expect(ended).toMatchObject({ outcome: cause.outcome, side: cause.side, save: 'saved' });
    const whole = cause.outcome === 'completed';
    expect(instance.store.row).toMatchObject({
      text: whole ? 'one two' : 'one ',
      complete: whole,
      outcome: cause.outcome,
    });
    expect(instance.recorded.ends).toHaveLength(1);
  });

  it('a stream that is cancelled runs to its end under finish', async () => {
    const instance = createInMemoryInstance();
    const go = createGate();
    let noticed: unknown;
    const guarded = instance.keep.guard(
      {},
      handler(async (_, res) => {
        let closes = 0;
        res.on('close', () => (closes += 1));
        res.setHeader('content-type', 'text/plain');
        res.write('one ');
        await go.promise;
        noticed = [closes, res.destroyed, res.writableEnded, res.write('two')];
        await new Promise<void>((resolve) => {
          res.end(() => resolve());
        });
      }),
    );
    await cancelAfterOne(guarded, secure);
    go.open();
    expect(await instance.recorded.ended()).toMatchObject({
      outcome: 'disconnected',
      side: 'client',
    });
    expect(noticed).toEqual([0, false, false, true]);
    expect(instance.store.row).toMatchObject({ text: 'one two', complete: true });
  });

  it.each([
    ['finish', []],
    ['keep', ['req aborted', 'req close', 'res close', 'res finish']],
  ] as const)(
    'each listener is called once after a cancel, under %s',
    async (disconnected, early) => {
      const instance = createInMemoryInstance();
      const go = createGate();
      const told: string[] = [];
      let toldEarly: readonly string[] = [];
      const guarded = instance.keep.guard(
        { policy: { disconnected } },
        handler(async (req, res) => {
          for (const name of ['finish', 'close']) res.on(name, () => told.push(`res ${name}`));
          for (const name of ['aborted', 'close']) req.on(name, () => told.push(`req ${name}`));
          res.setHeader('content-type', 'text/plain');
          res.write('one ');
          await go.promise;
          toldEarly = told.toSorted();
          res.end('two', () => told.push('callback'));
        }),
      );
      await cancelAfterOne(guarded, secure);
      await turns();
      go.open();
      await until('the end has called back', () => told.includes('callback'));
      await turns();
      const all = ['callback', 'req aborted', 'req close', 'res close', 'res finish'];
      expect([toldEarly, told.toSorted()]).toEqual([early, all]);
    },
  );
});

type Handler = (req: Http2ServerRequest, res: Http2ServerResponse) => void | Promise<void>;

/** A handler of HTTP/2, for its types' sake. */
function handler(run: Handler): Handler {
  return run;
}

/** A client that cancels its stream when it has seen `one `; resolves when the server knows. */
async function cancelAfterOne(guarded: Middleware, secure: boolean): Promise<void> {
  const { url, server } = await serveHttp2((req, res) => void guarded(req, res), secure);
  let closed = 0;
  server.on('stream', (stream) => stream.on('close', () => (closed += 1)));
  const { stream, seen } = open(url);
  await until('the client sees the first chunk', () => seen().includes('one '));
  stream.close(constants.NGHTTP2_CANCEL);
  await until('the server has met the close', () => closed === 1);
}

function open(url: string) {
  const { port, protocol } = new URL(url);
  const wire = connectPlain({ port: Number(port), host: 'localhost' });
  wire.on('error', () => {
    // The test resets it.
  });
  const session = connect(url, {
    createConnection: () =>
      protocol === 'http:'
        ? wire
        : connectTls({ socket: wire, ALPNProtocols: ['h2'], rejectUnauthorized: false }),
  });
  session.on('error', () => {
    // The test ends sessions in unfriendly ways.
  });
  onTestFinished(() => session.destroy());
  const stream = session.request({ ':path': '/' });
  let text = '';
  stream.setEncoding('utf8');
  stream.on('data', (piece: string) => {
    text += piece;
  });
  stream.on('error', () => {
    // As above.
  });
  return { session, stream, wire, seen: () => text };
}
