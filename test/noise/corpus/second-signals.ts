/** What Node's own interfaces say when their signal is aborted. */
import { execFile, spawn } from 'node:child_process';
import { EventEmitter, on, once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { readFile, watch } from 'node:fs/promises';
import { request } from 'node:http';
import { connect } from 'node:http2';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { addAbortSignal, PassThrough, Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { setImmediate, setInterval, setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { serveHttp2 } from '../../support/test-server.ts';
import type { Case } from './case.ts';
import { errorEvent, upstream } from './provoke.ts';
import { called, CONSEQUENCE, drain, reasonOf, tooLate, under } from './second-scenery.ts';

const LONG_MS = 60_000;

/** Something each turn, for ever. */
async function* ticks(): AsyncGenerator<number> {
  for (let tick = 0; ; tick += 1) {
    yield tick;
    await setImmediate();
  }
}

const timersAndEvents: readonly Case[] = [
  under('a promised time-out', 'timers', 'AbortError AbortError ABORT_ERR', (signal) =>
    setTimeout(LONG_MS, undefined, { signal }),
  ),
  under('a promised interval', 'timers', 'AbortError AbortError ABORT_ERR', (signal) =>
    drain(setInterval(LONG_MS, undefined, { signal })),
  ),
  under('a wait for an event', 'events', 'AbortError AbortError ABORT_ERR', (signal) =>
    once(new EventEmitter(), 'never', { signal }),
  ),
  under('an iteration over events', 'events', 'AbortError AbortError ABORT_ERR', (signal) =>
    drain(on(new EventEmitter(), 'never', { signal })),
  ),
  under('the reason of a signal', 'AbortSignal', 'DOMException AbortError 20', reasonOf),
  under('a signal that is made of two', 'AbortSignal', 'DOMException AbortError 20', (signal) =>
    reasonOf(AbortSignal.any([signal, AbortSignal.timeout(LONG_MS)])),
  ),
  under(
    'the event of an abort, which somebody rejects with',
    'AbortSignal',
    'Event - -',
    (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', reject, { once: true });
      }),
  ),
  {
    what: 'a check before the work',
    source: 'AbortSignal',
    look: 'DOMException AbortError 20',
    noise: CONSEQUENCE,
    provoke: (stage) => tooLate(stage, (signal) => called(() => signal.throwIfAborted())),
  },
  under('a question to the terminal', 'readline', 'AbortError AbortError ABORT_ERR', (signal) => {
    const terminal = createInterface(new PassThrough());
    onTestFinished(() => terminal.close());
    return terminal.question('?', { signal });
  }),
];

const filesAndProcesses: readonly Case[] = [
  {
    what: 'a file whose read is cancelled',
    source: 'fs',
    look: 'AbortError AbortError ABORT_ERR',
    noise: CONSEQUENCE,
    provoke: (stage) => tooLate(stage, (signal) => readFile(new URL(import.meta.url), { signal })),
  },
  under('a watcher of files', 'fs', 'AbortError AbortError ABORT_ERR', (signal) =>
    drain(watch(tmpdir(), { signal })),
  ),
  under('a stream of a file', 'fs', 'AbortError AbortError ABORT_ERR', (signal) =>
    // Nobody reads it, so it stays open.
    rejected(errorEvent(createReadStream('/dev/zero', { signal }))),
  ),
  under('a stream into a file', 'fs', 'AbortError AbortError ABORT_ERR', (signal) =>
    rejected(errorEvent(createWriteStream('/dev/null', { signal }))),
  ),
  under('a program that is run', 'child_process', 'AbortError AbortError ABORT_ERR', (signal) =>
    promisify(execFile)(process.execPath, ['-e', `setInterval(() => {}, ${LONG_MS})`], { signal }),
  ),
  under('a program that is started', 'child_process', 'AbortError AbortError ABORT_ERR', (signal) =>
    rejected(
      errorEvent(spawn(process.execPath, ['-e', `setInterval(() => {}, ${LONG_MS})`], { signal })),
    ),
  ),
];

const streams: readonly Case[] = [
  under('a pipeline', 'stream', 'AbortError AbortError ABORT_ERR', (signal) =>
    pipeline(new PassThrough(), new PassThrough(), { signal }),
  ),
  under(
    'the wait for the end of a stream',
    'stream',
    'AbortError AbortError ABORT_ERR',
    (signal) => {
      const quiet = new PassThrough();
      onTestFinished(() => {
        quiet.destroy();
      });
      return finished(quiet, { signal });
    },
  ),
  under('a stream that was given a signal', 'stream', 'AbortError AbortError ABORT_ERR', (signal) =>
    drain(addAbortSignal(signal, new PassThrough())),
  ),
  under('a stream that becomes an array', 'stream', 'AbortError AbortError ABORT_ERR', (signal) =>
    Readable.from(ticks()).toArray({ signal }),
  ),
  under('a function over each chunk', 'stream', 'AbortError AbortError ABORT_ERR', (signal) =>
    Readable.from(['a', 'b']).forEach(
      (_, options) => setTimeout(LONG_MS, undefined, { signal: options?.signal ?? signal }),
      { signal },
    ),
  ),
  under('a web stream in disguise', 'stream', 'AbortError AbortError ABORT_ERR', (signal) =>
    drain(Readable.fromWeb(new ReadableStream(), { signal })),
  ),
  under('one web stream into another', 'web streams', 'DOMException AbortError 20', (signal) =>
    new ReadableStream().pipeTo(new WritableStream(), { signal }),
  ),
  under(
    'a writer whose stream was aborted',
    'web streams',
    'DOMException AbortError 20',
    async (signal) => {
      const writer = new WritableStream().getWriter();
      writer.closed.catch(() => {
        // The same error as that of the write.
      });
      const aborted = reasonOf(signal).catch((reason: unknown) => writer.abort(reason));
      await aborted;
      await writer.write('x');
    },
  ),
  under(
    'a source that gives up with its signal',
    'web streams',
    'DOMException AbortError 20',
    (signal) => {
      const body = new ReadableStream({
        start: (controller) => {
          reasonOf(signal).catch((reason: unknown) => controller.error(reason));
        },
      });
      return body.getReader().read();
    },
  ),
  under(
    'a stream of Node as a web stream',
    'web streams',
    'AbortError AbortError ABORT_ERR',
    (signal) => Readable.toWeb(addAbortSignal(signal, new PassThrough())).getReader().read(),
  ),
];

const sockets: readonly Case[] = [
  under('a socket', 'net', 'AbortError AbortError ABORT_ERR', (signal) =>
    rejected(errorEvent(new Socket({ signal }))),
  ),
  under(
    'a request that nobody answers',
    'http',
    'AbortError AbortError ABORT_ERR',
    async (signal) => {
      const req = request(await upstream('silent'), { signal });
      req.end();
      return rejected(errorEvent(req));
    },
  ),
  under('the body of a response', 'http', 'AbortError AbortError ABORT_ERR', async (signal) => {
    const req = request(await upstream('speaking'), { signal });
    const failed = errorEvent(req);
    req.end();
    req.on('response', (body) => {
      body.on('error', () => {
        // The request says the same.
      });
    });
    return rejected(failed);
  }),
  under('a request over HTTP/2', 'http2', 'AbortError AbortError ABORT_ERR', async (signal) => {
    const { url } = await serveHttp2(() => {
      // Never answers.
    });
    const session = connect(url);
    onTestFinished(() => session.destroy());
    return rejected(errorEvent(session.request({ ':path': '/' }, { signal })));
  }),
];

/** Turns what came as an event into a rejection. */
async function rejected(error: Promise<unknown>): Promise<never> {
  throw await error;
}

/** Errors of Node whose cause is a signal. */
export const SIGNALS: readonly Case[] = [
  ...timersAndEvents,
  ...filesAndProcesses,
  ...streams,
  ...sockets,
];
