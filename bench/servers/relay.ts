/**
 * Streams at a model's pace, told to an engine or not. Arguments: who tells it (`off`, `lastchunk`, `ahead`, or another library), the
 * URL of the engine, and the files of another library.
 */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import express, { type Response } from 'express';
import { Redis } from 'ioredis';
import { load } from '../built.ts';
import { given, serve } from '../child.ts';
import { CHUNK, DONE, FINISH, stamp } from '../frames.ts';

const [way = 'off', engineUrl = '', module = ''] = given.args;
// In which Express prints no error of another library, which a reader gets as its answer.
const app = express().set('env', 'test');

/** One token after the other, each with the time at which it was made. */
async function* tokens(count: number, gapMs: number): AsyncGenerator<string> {
  const beginMs = performance.now();
  for (let sent = 0; sent < count; sent++) {
    // To the time that is due, so that a late one makes no other late.
    await sleep(Math.max(0, beginMs + sent * gapMs - performance.now()));
    yield stamp() + CHUNK;
  }
  yield FINISH + DONE;
}

function begin(res: Response, id: string): void {
  res.setHeader('content-type', 'text/event-stream');
  res.setHeader('x-bench-stream', id);
  res.flushHeaders();
}

if (way === 'off' || way === 'lastchunk' || way === 'ahead') await serveLastchunk();
if (way === 'resumable-stream') await serveResumableStream();
if (way === 'assistant-stream') await serveAssistantStream();
await serve(app);

async function serveLastchunk(): Promise<void> {
  const { lastchunk } = await load(given.directory, 'index.js');
  const keep = lastchunk({
    store: { save: nothing, close: nothing },
    journal: false,
    ...(way !== 'off' && { relay: { engine: await engine(), ahead: way === 'ahead' } }),
  });
  const guard = keep.guard({ message: (req) => ({ conversationId: req.params['id'] }) });
  app.get('/stream/:id/:count/:gapMs', guard, async (req, res) => {
    begin(res, String(res.getHeader('x-stream-id')));
    const { count, gapMs } = req.params;
    for await (const token of tokens(Number(count), Number(gapMs))) res.write(token);
    res.end();
  });
  if (way !== 'off') app.get('/streams/:id', keep.resumeHandler({ authorize: () => true }));
}

async function engine() {
  if (engineUrl.startsWith('redis:')) {
    const { redisRelay } = await load(given.directory, 'redis/index.js');
    return redisRelay({ client: new Redis(engineUrl, { lazyConnect: true }) });
  }
  const { postgresRelay } = await load(given.directory, 'postgres/index.js');
  return postgresRelay({ connectionString: engineUrl, migrate: true });
}

/** As its README has it: the stream is made by the one who asks first, others resume it. */
async function serveResumableStream(): Promise<void> {
  const { createResumableStreamContext } = await other<{
    createResumableStreamContext: (options: object) => {
      createNewResumableStream(
        id: string,
        make: () => ReadableStream<string>,
      ): Promise<ReadableStream<string>>;
      resumeExistingStream(id: string): Promise<ReadableStream<string> | null | undefined>;
    };
  }>();
  const context = createResumableStreamContext({
    waitUntil: null,
    publisher: new Redis(engineUrl),
    // A check while it subscribes would be refused.
    subscriber: new Redis(engineUrl, { enableReadyCheck: false }),
  });
  serveBy({
    run: (id, made) => {
      const make = () => Readable.toWeb(made);
      // A web stream of strings, in the words of another type.
      return context.createNewResumableStream(id, make as unknown as () => ReadableStream<string>);
    },
    resume: (id) => context.resumeExistingStream(id),
  });
}

/** The same with its store for ioredis. */
async function serveAssistantStream(): Promise<void> {
  const { createResumableStreamContext, createIoredisResumableStreamStore } = await other<{
    createResumableStreamContext: (options: object) => {
      run(id: string, make: () => ReadableStream<Uint8Array>): Promise<ReadableStream<Uint8Array>>;
      resume(id: string): Promise<ReadableStream<Uint8Array> | null>;
    };
    createIoredisResumableStreamStore: (client: Redis) => object;
  }>();
  const store = createIoredisResumableStreamStore(new Redis(engineUrl));
  const context = createResumableStreamContext({ store });
  serveBy({
    run: (id, made) => {
      const bytes = made.map((token: string) => Buffer.from(token));
      // A web stream of bytes, in the words of another type.
      const make = () => Readable.toWeb(bytes) as unknown as ReadableStream<Uint8Array>;
      return context.run(id, make);
    },
    resume: (id) => context.resume(id),
  });
}

type Pieces = AsyncIterable<string | Uint8Array> | null | undefined;

/** A stream made of tokens by another library, and its rest for whoever asks. */
interface OtherLibrary {
  run(id: string, made: Readable): Promise<Pieces>;
  resume(id: string): Promise<Pieces>;
}

function serveBy({ run, resume }: OtherLibrary): void {
  const send = async (res: Response, id: string, found: Promise<Pieces>): Promise<void> => {
    begin(res, id);
    for await (const piece of (await found) ?? []) res.write(piece);
    res.end();
  };
  app.get('/stream/:id/:count/:gapMs', ({ params: { id, count, gapMs } }, res) =>
    send(res, id, run(id, Readable.from(tokens(Number(count), Number(gapMs))))),
  );
  app.get('/streams/:id', ({ params: { id } }, res) => send(res, id, resume(id)));
}

/** What the modules of another library export, one object of all. */
async function other<T>(): Promise<T> {
  const loaded = await Promise.all(
    module.split(',').map((file) => import(pathToFileURL(file).href) as Promise<object>),
  );
  // The caller names what it takes from there.
  return Object.assign({}, ...loaded) as T;
}

async function nothing(): Promise<void> {}
