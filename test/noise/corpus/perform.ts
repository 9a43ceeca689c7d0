/** Plays one case in one scene: a real server, a real client, and the error that comes of it. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type ClientHttp2Stream } from 'node:http2';
import { onTestFinished } from 'vitest';
import { type Classification, type Lastchunk, lastchunk } from '../../../src/index.ts';
import { createMemoryStore } from '../../support/memory-store.ts';
import { serve, serveHttp2 } from '../../support/test-server.ts';
import { soon, turns, until } from '../../support/until.ts';
import { openClient, type HttpClient } from '../../support/http-client.ts';
import type { Case, Scene, Stage } from './case.ts';

/** The error, and what the classifier made of it. */
export interface Performance {
  readonly error: unknown;
  readonly answer: Classification;
}

/** Everything that was opened is closed when the test is over. */
export async function perform(
  one: Case,
  scene: Scene,
  connectionString: string,
): Promise<Performance> {
  const keep = lastchunk({ journal: false, store: createMemoryStore() });
  onTestFinished(async () => {
    await keep.close({ deadlineMs: 0 });
  });
  const over = one.transport === 'http2' ? overHttp2 : overHttp;
  return soon('the performance', over(one, scene, { keep, connectionString }));
}

type Given = Pick<Stage, 'keep' | 'connectionString'>;

async function overHttp(one: Case, scene: Scene, given: Given): Promise<Performance> {
  const middleware = middlewareOf(one, given.keep);
  const performed = promised<Performance>();
  const httpClient = promised<HttpClient>();
  const testServer = await serve((req, res) => {
    ignoreErrors(req, res);
    const { socket } = req;
    void middleware(req, res, () => {
      const act = async (): Promise<Performance> => {
        begin(one, res);
        const client = await httpClient.promise;
        if (one.unanswered !== true) await client.sees('one ');
        const stage = stageOf(
          scene,
          { ...given, req, res, httpClient: client },
          () => socket.destroyed,
        );
        return judge(one, stage);
      };
      performed.resolve(act());
    });
  });
  httpClient.resolve(await openClient(testServer, '/', one.asking));
  return performed.promise;
}

async function overHttp2(one: Case, scene: Scene, given: Given): Promise<Performance> {
  const middleware = middlewareOf(one, given.keep);
  const performed = promised<Performance>();
  const asked = promised<ClientHttp2Stream>();
  const { url } = await serveHttp2((h2req, h2res) => {
    // The compatibility API stands in for the other one.
    const [req, res] = [h2req, h2res] as unknown as [IncomingMessage, ServerResponse];
    ignoreErrors(req, res);
    void middleware(req, res, () => {
      const act = async (): Promise<Performance> => {
        begin(one, res);
        const client = await asked.promise;
        const fin = (): void => client.close(8);
        // All that is asked of it over HTTP/2.
        const httpClient = { fin } as unknown as HttpClient;
        const h2 = h2res.stream;
        return judge(
          one,
          stageOf(scene, { ...given, req, res, httpClient }, () => h2.destroyed),
        );
      };
      performed.resolve(act());
    });
  });
  const session = connect(url, { rejectUnauthorized: false });
  session.on('error', () => {
    // The scene.
  });
  onTestFinished(() => session.destroy());
  const client = session.request({ ':path': '/' });
  client.on('error', () => {
    // The scene.
  });
  client.once('data', () => asked.resolve(client));
  return performed.promise;
}

async function judge(one: Case, stage: Stage): Promise<Performance> {
  const error = await one.provoke(stage);
  return { error, answer: stage.keep.classify(error, stage.res) };
}

function begin(one: Case, res: ServerResponse): void {
  if (one.unanswered === true) return;
  res.writeHead(200, { 'content-type': 'text/plain' });
  res.write('one ');
}

function middlewareOf({ under = 'observe' }: Case, keep: Lastchunk) {
  if (under === 'observe') return keep.observe();
  return keep.guard({ policy: { disconnected: under }, format: 'text', headers: false });
}

function stageOf(
  scene: Scene,
  given: Omit<Stage, 'scene' | 'depart' | 'handle'>,
  isClosed: () => boolean,
): Stage {
  const { keep, res, httpClient } = given;
  const handle = keep.stream(res);
  if (handle === undefined) throw new Error('there is no stream');
  const depart = async (): Promise<void> => {
    if (scene === 'there') return;
    if (scene === 'left') httpClient.fin();
    else if (scene === 'reset') httpClient.rst();
    else if (scene === 'stopped') handle.stop();
    else void keep.close({ deadlineMs: 0 });
    if (scene === 'left' || scene === 'reset') {
      await until('the server has met the close', isClosed);
    } else await until('the signal is aborted', () => handle.signal.aborted);
    await turns();
  };
  return { ...given, scene, handle, depart };
}

/** What would end the process where nobody listens. */
function ignoreErrors(req: IncomingMessage, res: ServerResponse): void {
  for (const emitter of [req, res]) {
    emitter.on('error', () => {
      // A case that wants it listens for itself.
    });
  }
}

function promised<T>() {
  let resolve: (value: T | PromiseLike<T>) => void = () => {};
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
