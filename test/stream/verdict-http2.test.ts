/** Who ended it, over HTTP/2, whose `finish` does not mean what it says. */
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createKept } from '../support/kept.ts';
import { serveHttp2 } from '../support/site.ts';
import { createGate } from '../support/tap.ts';
import { until } from '../support/until.ts';

type Handler = (req: IncomingMessage, res: ServerResponse) => void | Promise<void>;

const CAUSES = [
  {
    name: 'a normal end',
    outcome: 'completed',
    side: 'server',
    server: (res: ServerResponse) => res.end('two'),
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
    client: (_: ClientHttp2Stream, session: ClientHttp2Session) => session.socket.resetAndDestroy(),
  },
  {
    name: 'res.destroy(error)',
    outcome: 'failed',
    side: 'server',
    server: (res: ServerResponse) => res.destroy(new Error('a mistake of ours')),
  },
  {
    name: 'a handler that throws',
    outcome: 'failed',
    side: 'server',
    server: () => {
      throw new Error('a mistake of ours');
    },
  },
] as const;

describe.each([false, true])('over HTTP/2 (TLS: %s)', (secure) => {
  it.each(CAUSES)('$name is $outcome by the $side', async (cause) => {
    const kept = createKept();
    const go = createGate();
    const guarded = kept.keep.guard(
      { route: '/', policy: { disconnected: 'keep' } },
      handler(async (_, res) => {
        res.setHeader('content-type', 'text/plain');
        res.write('one ');
        await go.promise;
        if ('server' in cause) cause.server(res);
      }),
    );
    const { url } = await serveHttp2((req, res) => void guarded(...asHttp1(req, res)), secure);
    const { stream, session, seen } = open(url);
    await until('the client sees the first chunk', () => seen().includes('one '));
    go.open();
    if ('client' in cause) cause.client(stream, session);
    const ended = await kept.witness.ended();
    expect(ended).toMatchObject({ outcome: cause.outcome, side: cause.side, save: 'saved' });
    const whole = cause.outcome === 'completed';
    expect(kept.store.row).toMatchObject({
      text: whole ? 'one two' : 'one ',
      complete: whole,
      outcome: cause.outcome,
    });
    expect(kept.witness.ends).toHaveLength(1);
  });

  it('runs to its end under finish after its stream was cancelled', async () => {
    const kept = createKept();
    const go = createGate();
    let noticed: unknown;
    const guarded = kept.keep.guard(
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
    const { url, server } = await serveHttp2(
      (req, res) => void guarded(...asHttp1(req, res)),
      secure,
    );
    let closed = 0;
    server.on('stream', (stream) => stream.on('close', () => (closed += 1)));
    const { stream, seen } = open(url);
    await until('the client sees the first chunk', () => seen().includes('one '));
    stream.close(constants.NGHTTP2_CANCEL);
    await until('the server has met the close', () => closed === 1);
    go.open();
    expect(await kept.witness.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    expect(noticed).toEqual([0, false, false, true]);
    expect(kept.store.row).toMatchObject({ text: 'one two', complete: true });
  });
});

/** `guard` works without Express; the compatibility classes have what it needs of those of HTTP/1. */
function asHttp1(
  req: Http2ServerRequest,
  res: Http2ServerResponse,
): [IncomingMessage, ServerResponse] {
  return [req as unknown as IncomingMessage, res as unknown as ServerResponse];
}

function handler(run: Handler): Handler {
  return run;
}

function open(url: string) {
  const session = connect(url, { rejectUnauthorized: false });
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
  return { session, stream, seen: () => text };
}
