/** HTTP/2: streams of our own clients, and requests to upstreams. */
import { connect, createServer, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { finished } from 'node:stream';
import { onTestFinished } from 'vitest';
import type { Case } from './case.ts';
import { callbackError, errorEvent, meanwhile, rejection } from './provoke.ts';

/** A session to an upstream that resets what asks for `/reset` and answers nothing else. */
async function session(): Promise<ClientHttp2Session> {
  const server = createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {
      // The upstream's own affair.
    });
    if (headers[':path'] === '/reset') stream.close(2);
  });
  await new Promise<void>((done) => {
    server.listen(0, 'localhost', done);
  });
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo;
  const made = connect(`http://localhost:${port}`);
  made.on('error', () => {
    // Destroyed below.
  });
  onTestFinished(() => {
    made.destroy();
    server.close();
  });
  return made;
}

function quiet(stream: ClientHttp2Stream): ClientHttp2Stream {
  return stream.on('error', () => {
    // A case listens for itself.
  });
}

export const HTTP2: readonly Case[] = [
  {
    what: 'a write after the reset',
    source: 'node:http2 server',
    look: 'Error Error ERR_HTTP2_INVALID_STREAM',
    noise: { left: true },
    transport: 'http2',
    provoke: async (stage) => {
      await stage.depart();
      return callbackError((done) => stage.res.write('two ', done));
    },
  },
  {
    what: 'respond() after the reset',
    source: 'node:http2 server',
    look: 'Error Error ERR_HTTP2_INVALID_STREAM',
    noise: { left: true },
    transport: 'http2',
    provoke: async (stage) => {
      // The compatibility API's response has it.
      const { stream } = stage.res as unknown as { stream: { respond(): void } };
      await stage.depart();
      return rejection((async () => stream.respond())());
    },
  },
  {
    what: 'stream.finished of the stream that was reset',
    source: 'node:http2 server',
    look: 'Error Error ERR_STREAM_PREMATURE_CLOSE',
    noise: { left: true },
    transport: 'http2',
    provoke: async (stage) => {
      const { stream } = stage.res as unknown as { stream: NodeJS.WritableStream };
      const error = callbackError((done) => finished(stream, done));
      await stage.depart();
      return error;
    },
  },
  {
    what: 'requests that wait for a session which the handler destroys',
    source: 'node:http2 client',
    look: 'Error Error ERR_HTTP2_STREAM_CANCEL',
    noise: { left: true, stopped: true, there: false },
    provoke: async (stage) => {
      await stage.depart();
      const made = await session();
      const error = errorEvent(quiet(made.request({ ':path': '/' })));
      made.destroy();
      return error;
    },
  },
  {
    what: 'a request with a signal',
    source: 'node:http2 client',
    look: 'AbortError AbortError ABORT_ERR',
    noise: { left: true, stopped: true, there: false },
    provoke: async (stage) => {
      const controller = new AbortController();
      const made = await session();
      const error = errorEvent(
        quiet(made.request({ ':path': '/' }, { signal: controller.signal })),
      );
      await stage.depart();
      controller.abort();
      return error;
    },
  },
  {
    what: 'an upstream that resets a stream',
    source: 'node:http2 client',
    look: 'Error Error ERR_HTTP2_STREAM_ERROR',
    noise: { left: false, stopped: false, there: false },
    provoke: async (stage) => {
      const made = await session();
      return meanwhile(stage, async () => {
        throw await errorEvent(quiet(made.request({ ':path': '/reset' })));
      });
    },
  },
];
