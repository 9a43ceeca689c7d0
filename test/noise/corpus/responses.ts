/** What request, response and socket of the stream itself say, and what is piped into it. */
import { finished, PassThrough, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, gzipSync } from 'node:zlib';
import compression from 'compression';
import { soon, turns, until } from '../../support/until.ts';
import type { Case, Scene, Stage } from './case.ts';
import { callbackError, errorEvent, meanwhile, rejection } from './provoke.ts';

const NEVER: Partial<Record<Scene, boolean>> = { left: false, stopped: false, there: false };
const NODE = Number(process.versions.node.split('.')[0]);
const RESET = 'Error Error ECONNRESET';

/** `left` and `reset` are the client's doing; where it is there, the handler destroys its own response. */
async function endOf(stage: Stage): Promise<void> {
  await stage.depart();
  if (stage.scene === 'there') stage.res.destroy();
}

const BY_CLIENT: Partial<Record<Scene, boolean>> = { left: true, reset: true, there: false };

export const RESPONSES: readonly Case[] = [
  {
    what: "the request's error event",
    source: 'node:http server',
    look: RESET,
    noise: BY_CLIENT,
    provoke: async (stage) => {
      const error = errorEvent(stage.req);
      await endOf(stage);
      return error;
    },
  },
  {
    what: 'reading the body of a request that is broken off',
    source: 'node:http server',
    look: RESET,
    noise: { left: true, reset: true },
    asking: { method: 'POST', headers: { 'content-length': '100' }, body: 'half' },
    provoke: async (stage) => {
      const error = rejection(
        (async () => {
          for await (const _ of stage.req);
        })(),
      );
      await stage.depart();
      return error;
    },
  },
  {
    what: 'reading a body that is broken off before anything was answered',
    source: 'node:http server',
    look: RESET,
    noise: { left: true },
    asking: { method: 'POST', headers: { 'content-length': '100' }, body: 'half' },
    unanswered: true,
    provoke: async (stage) => {
      const error = rejection(pipeline(stage.req, new PassThrough()));
      stage.httpClient.fin();
      return error;
    },
  },
  {
    what: "the socket's error event",
    source: 'node:http server',
    look: RESET,
    noise: { reset: true },
    provoke: async (stage) => {
      const error = errorEvent(stage.req.socket);
      await stage.depart();
      return error;
    },
  },
  {
    what: 'a write that meets the reset',
    source: 'node:http server',
    look: RESET,
    noise: { reset: true },
    provoke: async (stage) => {
      stage.httpClient.rst();
      return callbackError((done) => {
        const write = (): void => {
          stage.res.write('x'.repeat(100_000), (error) => (error ? done(error) : write()));
        };
        write();
      });
    },
  },
  {
    what: 'a write after the close',
    source: 'node:http server',
    look: 'Error Error ERR_STREAM_DESTROYED',
    noise: BY_CLIENT,
    provoke: async (stage) => {
      await endOf(stage);
      return callbackError((done) => stage.res.write('two ', done));
    },
  },
  {
    what: 'a write after the close that close() brought',
    source: 'node:http server',
    look: 'Error Error ERR_STREAM_DESTROYED',
    noise: { closing: true },
    provoke: async (stage) => {
      const { socket } = stage.req;
      await stage.depart();
      await until('the close', () => socket.destroyed);
      return callbackError((done) => stage.res.write('two ', done));
    },
  },
  {
    what: 'a write to the connection after the close that close() brought',
    source: 'node:http server',
    look: 'Error Error ERR_STREAM_DESTROYED',
    noise: { closing: true },
    undecidable: 'a socket gives the same error as a file, and no frame names it',
    provoke: async (stage) => {
      const { socket } = stage.req;
      await stage.depart();
      await until('the close', () => socket.destroyed);
      return callbackError((done) => socket.write('two ', done));
    },
  },
  {
    what: 'stream.finished of the response',
    source: 'node:stream',
    look: 'Error Error ERR_STREAM_PREMATURE_CLOSE',
    noise: BY_CLIENT,
    provoke: async (stage) => {
      const error = callbackError((done) => finished(stage.res, done));
      await endOf(stage);
      return error;
    },
  },
  {
    what: 'pipeline into the response',
    source: 'node:stream',
    look: 'Error Error ERR_STREAM_PREMATURE_CLOSE',
    noise: BY_CLIENT,
    provoke: async (stage) => {
      const error = rejection(pipeline(new Readable({ read() {} }), stage.res));
      await endOf(stage);
      return error;
    },
  },
  {
    what: 'the source of a pipeline into the response',
    source: 'node:stream',
    look: 'Error Error ERR_STREAM_PREMATURE_CLOSE',
    noise: BY_CLIENT,
    provoke: async (stage) => {
      const source = new Readable({ read() {} });
      const error = errorEvent(source);
      pipeline(source, stage.res).catch(() => {
        // The same, once more.
      });
      await endOf(stage);
      return error;
    },
  },
  {
    what: 'pipeline through compression() into the response',
    source: 'compression',
    look: 'Error Error ERR_STREAM_PREMATURE_CLOSE',
    noise: BY_CLIENT,
    unanswered: true,
    asking: { headers: { 'accept-encoding': 'gzip' } },
    provoke: async (stage) => {
      const { req, res } = stage;
      // Its types are Express's; it asks for no more than Node's.
      compression()(req as never, res as never, () => {});
      res.setHeader('content-type', 'text/plain');
      const source = new Readable({ read() {} });
      source.push('one ');
      const error = rejection(pipeline(source, res));
      await turns();
      await endOf(stage);
      return error;
    },
  },
  {
    what: 'pipeline into a response that is closed',
    source: 'node:stream',
    look: ['Error Error ERR_STREAM_PREMATURE_CLOSE', 'Error Error ERR_STREAM_UNABLE_TO_PIPE'],
    noise: { left: true, there: false },
    undecidable:
      'a pipeline into a file that is closed gives the same error, and no frame names either',
    provoke: async (stage) => {
      await endOf(stage);
      await turns();
      return rejection(pipeline(Readable.from(['two ']), stage.res));
    },
  },
  {
    what: 'a pipeline whose source fails',
    source: 'node:stream',
    look: 'Error Error -',
    noise: NEVER,
    provoke: (stage) =>
      meanwhile(stage, () =>
        pipeline(async function* broken() {
          yield 'two ';
          throw new Error('aborted');
        }, new PassThrough().resume()),
      ),
  },
  {
    what: 'a write after end() whose connection is closed',
    source: 'node:http server',
    look: 'Error Error ERR_STREAM_WRITE_AFTER_END',
    noise: { left: true },
    provoke: async (stage) => {
      await stage.depart();
      stage.res.end();
      return callbackError((done) => stage.res.write('two ', done));
    },
  },
  {
    what: 'a write after end() while the connection is open',
    source: 'node:http server',
    look: 'Error Error ERR_STREAM_WRITE_AFTER_END',
    noise: { stopped: false, there: false },
    provoke: async (stage) => {
      await stage.depart();
      stage.res.end();
      return callbackError((done) => stage.res.write('two ', done));
    },
  },
  {
    what: 'a write after end() while the connection was open, reported before its client left',
    source: 'node:http server',
    look: 'Error Error ERR_STREAM_WRITE_AFTER_END',
    noise: { left: false },
    provoke: async (stage) => {
      const other = new PassThrough().on('error', () => {
        // The same, once more.
      });
      other.end();
      const error = await callbackError((done) => other.write('two ', done));
      stage.keep.classify(error, stage.res);
      await stage.depart();
      return error;
    },
  },
  {
    what: 'a second end()',
    source: 'node:stream',
    look: 'Error Error ERR_STREAM_ALREADY_FINISHED',
    noise: { left: true, stopped: false, there: false },
    undecidable:
      'a stream stands in for the response, and a mistake with such a stream looks the same',
    provoke: async (stage) => {
      await stage.depart();
      const other = new PassThrough().resume();
      await new Promise<void>((done) => other.end(done));
      return callbackError((done) => other.end(done));
    },
  },
  {
    what: 'a second end() of the response',
    source: 'node:http server',
    look: 'Error Error ERR_STREAM_ALREADY_FINISHED',
    // From Node 24 on a response that was left says nothing of a second end.
    noise: { ...(NODE < 24 && { left: true }), there: false },
    provoke: async (stage) => {
      await stage.depart();
      const { res } = stage;
      res.end();
      await until('the first end', () => res.writableFinished);
      return callbackError((done) => res.end(done));
    },
  },
  {
    what: 'headers after the headers',
    source: 'node:http server',
    look: 'Error Error ERR_HTTP_HEADERS_SENT',
    noise: { ...NEVER, reset: false },
    provoke: async (stage) => {
      await stage.depart();
      return rejection(
        (async () => {
          stage.res.setHeader('x-late', '1');
        })(),
      );
    },
  },
  {
    what: 'the parser, for a client that left inside its body',
    source: 'node:http server',
    look: 'Error Error HPE_INVALID_EOF_STATE',
    noise: { left: true },
    asking: { method: 'POST', headers: { 'content-length': '100' }, body: 'half' },
    provoke: async (stage) => {
      const error = clientError(stage);
      await stage.depart();
      return error;
    },
  },
  {
    what: 'the parser, for a client that does not send HTTP',
    source: 'node:http server',
    look: 'Error Error HPE_INVALID_METHOD',
    noise: { there: false },
    provoke: async (stage) => {
      const error = clientError(stage);
      stage.httpClient.send('\r\nnonsense \0\r\n\r\n');
      return error;
    },
  },
  {
    what: 'gunzip of half a file',
    source: 'node:zlib',
    look: 'Error Error Z_BUF_ERROR',
    noise: NEVER,
    provoke: (stage) =>
      meanwhile(stage, () =>
        pipeline(
          Readable.from([gzipSync('one two three').subarray(0, 15)]),
          createGunzip(),
          new PassThrough().resume(),
        ),
      ),
  },
];

/** What the server says of this stage's connection. */
function clientError({ req }: Stage): Promise<unknown> {
  // `server` is set by net.Server on each socket it accepts; it is not in the typings.
  const { server } = req.socket as unknown as { server: NodeJS.EventEmitter };
  return soon(
    'the client error',
    new Promise((resolve) => {
      server.once('clientError', (error, socket: typeof req.socket) => {
        resolve(error);
        socket.destroy();
      });
    }),
  );
}
