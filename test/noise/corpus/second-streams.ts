/** Errors around the response and the request of this very stream. */
import { tmpdir } from 'node:os';
import { Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import { createSession } from 'better-sse';
import express, { type RequestHandler } from 'express';
import type { Case, Stage } from './case.ts';
import { callbackError, errorEvent, meanwhile, rejection, upstream } from './provoke.ts';
import { called, drain, FAILURE, LEAVING } from './second-scenery.ts';

/** A source that says a word each turn, for ever. */
async function* chatter(): AsyncGenerator<string> {
  for (;;) {
    yield 'word ';
    await setImmediate();
  }
}

/** The scene, or what breaks the response while the client is there. */
async function depart(stage: Stage, otherwise: () => void): Promise<void> {
  await stage.depart();
  if (stage.scene === 'there') otherwise();
}

const responses: readonly Case[] = [
  {
    what: 'a pipeline through a compressor into the response',
    source: 'stream',
    look: 'Error Error ERR_STREAM_PREMATURE_CLOSE',
    noise: LEAVING,
    provoke: async (stage) => {
      const source = Readable.from(chatter());
      const error = rejection(pipeline(source, createGzip(), stage.res));
      await depart(stage, () => source.destroy());
      return error;
    },
  },
  {
    what: 'the wait for the end of the response',
    source: 'stream',
    look: 'Error Error ERR_STREAM_PREMATURE_CLOSE',
    noise: LEAVING,
    provoke: async (stage) => {
      const error = rejection(finished(stage.res));
      await depart(stage, () => stage.res.destroy());
      return error;
    },
  },
  {
    what: 'the body of a fetch into the response',
    source: 'stream',
    look: 'Error Error ERR_STREAM_PREMATURE_CLOSE',
    noise: LEAVING,
    provoke: async (stage) => {
      const { body } = await fetch(await upstream('speaking'));
      if (body === null) throw new Error('no body');
      // Node's web streams and those of the DOM are one and the same, but for their types.
      const source = Readable.fromWeb(body as never);
      const error = rejection(pipeline(source, stage.res));
      await depart(stage, () => source.destroy());
      return error;
    },
  },
  {
    what: 'a web stream into the response',
    source: 'web streams',
    look: 'AbortError AbortError ABORT_ERR',
    noise: LEAVING,
    provoke: async (stage) => {
      const source = Readable.toWeb(Readable.from(chatter()));
      const error = rejection(source.pipeTo(Writable.toWeb(stage.res)));
      await depart(stage, () => stage.res.destroy());
      return error;
    },
  },
  {
    what: 'a write too late',
    source: 'http',
    look: 'Error Error ERR_STREAM_DESTROYED',
    noise: LEAVING,
    provoke: async (stage) => {
      await depart(stage, () => stage.res.destroy());
      return callbackError((done) => stage.res.write('two ', done));
    },
  },
  {
    what: 'the connection of the client, reset',
    source: 'net',
    look: 'Error Error ECONNRESET',
    noise: { reset: true },
    provoke: async (stage) => {
      const error = errorEvent(stage.req.socket);
      await stage.depart();
      return error;
    },
  },
  {
    what: 'a push to a session whose client is gone, or never existed',
    source: 'better-sse',
    look: 'SseError Error -',
    noise: LEAVING,
    unanswered: true,
    provoke: async (stage) => {
      const session = await createSession(stage.req, stage.res);
      session.push('one ');
      await stage.httpClient.sees('one ');
      await depart(stage, () => stage.res.emit('close'));
      return meanwhile(
        // The scene has been played.
        { ...stage, depart: async () => {} },
        () => called(() => session.push('two ')),
      );
    },
  },
  {
    what: 'a header after the headers',
    source: 'http',
    look: 'Error Error ERR_HTTP_HEADERS_SENT',
    noise: FAILURE,
    provoke: (stage) => meanwhile(stage, () => called(() => stage.res.setHeader('a', 'b'))),
  },
  {
    what: 'a write after the handler’s own end',
    source: 'http',
    look: 'Error Error ERR_STREAM_WRITE_AFTER_END',
    noise: FAILURE,
    provoke: async (stage) => {
      stage.res.end('the end');
      await stage.depart();
      return callbackError((done) => stage.res.write('more', done));
    },
  },
  {
    what: 'a write too late',
    source: 'http2',
    look: 'Error Error ERR_HTTP2_INVALID_STREAM',
    noise: { left: true },
    transport: 'http2',
    provoke: async (stage) => {
      await stage.depart();
      return callbackError((done) => stage.res.write('two ', done));
    },
  },
  {
    what: 'a header after the headers',
    source: 'http2',
    look: 'Error Error ERR_HTTP2_HEADERS_SENT',
    noise: FAILURE,
    transport: 'http2',
    provoke: (stage) => meanwhile(stage, () => called(() => stage.res.setHeader('a', 'b'))),
  },
];

/** Runs `handler` as the route of an Express app. */
function route(stage: Stage, handler: RequestHandler): void {
  const app = express();
  app.use(handler);
  app(stage.req, stage.res);
}

const upload = {
  method: 'POST',
  headers: { 'content-length': '1000', 'content-type': 'application/json' },
  body: '{"half": ',
};

const requests: readonly Case[] = [
  {
    what: 'an upload that is cut',
    source: 'http',
    look: 'Error Error ECONNRESET',
    noise: { left: true, reset: true },
    asking: upload,
    unanswered: true,
    provoke: async (stage) => {
      const error = rejection(drain(stage.req));
      await stage.depart();
      return error;
    },
  },
  {
    what: 'a JSON body that is cut',
    source: 'express',
    look: 'BadRequestError BadRequestError ECONNABORTED',
    noise: { left: true, reset: true },
    asking: upload,
    unanswered: true,
    provoke: async (stage) => {
      const error = callbackError((done) => {
        express.json()(stage.req, stage.res, done);
      });
      await stage.depart();
      return error;
    },
  },
  {
    what: 'a JSON body that is too large',
    source: 'express',
    look: 'PayloadTooLargeError PayloadTooLargeError -',
    noise: FAILURE,
    asking: { ...upload, headers: { 'content-type': 'application/json' }, body: '"far too long"' },
    unanswered: true,
    provoke: (stage) =>
      callbackError((done) => {
        express.json({ limit: 10 })(stage.req, stage.res, (error: unknown) => {
          void stage.depart().then(() => done(error));
        });
      }),
  },
  {
    what: 'a file that is sent to a client which leaves',
    source: 'express',
    look: 'Error Error ECONNABORTED',
    noise: { left: true, reset: true },
    unanswered: true,
    provoke: async (stage) => {
      const error = callbackError((done) => {
        // The program that runs this: larger than what fits into a connection.
        route(stage, (_, res) => res.sendFile(process.execPath, done));
      });
      await stage.depart();
      return error;
    },
  },
  {
    what: 'a missing file',
    source: 'express',
    look: 'Error Error ENOENT',
    noise: FAILURE,
    unanswered: true,
    provoke: async (stage) => {
      const error = await callbackError((done) => {
        route(stage, (_, res) => res.sendFile(`${tmpdir()}/not/there`, done));
      });
      await stage.depart();
      return error;
    },
  },
];

/** Errors of the response and of the request. */
export const STREAMS: readonly Case[] = [...responses, ...requests];
