/** Labels and means that the parts of the second corpus share. */
import { createServer } from 'node:net';
import { onTestFinished } from 'vitest';
import type { StreamHandle } from '../../../src/index.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';
import { openClient } from '../../support/http-client.ts';
import type { Case, Stage } from './case.ts';
import { abortAfter, meanwhile, ours, rejection } from './provoke.ts';

type Labels = Case['noise'];

/** Of an error that nothing but the end of this stream brings about, whoever ended it. */
export const CONSEQUENCE: Labels = {
  left: true,
  reset: true,
  stopped: true,
  closing: true,
  there: false,
};

/** Of an error that only a client which is gone brings about. */
export const LEAVING: Labels = { left: true, reset: true, there: false };

/** Of an error that broke something, or that may have. */
export const FAILURE: Labels = { left: false, there: false };

/** Of a failure that is worth more than one way of ending. */
export const FAILURE_ANYHOW: Labels = {
  left: false,
  reset: false,
  stopped: false,
  closing: false,
  there: false,
};

/** Work under the stream's signal; where nothing aborts that one, under a signal that has nothing to do with it. */
export function cancelled(
  stage: Stage,
  start: (signal: AbortSignal) => PromiseLike<unknown>,
): Promise<unknown> {
  return stage.scene === 'there' ? abortAfter(stage, start) : ours(stage, start);
}

/** Work that starts when its signal is aborted already. */
export async function tooLate(
  stage: Stage,
  start: (signal: AbortSignal) => PromiseLike<unknown>,
): Promise<unknown> {
  await stage.depart();
  const signal = stage.scene === 'there' ? AbortSignal.abort() : stage.handle.signal;
  return rejection(start(signal));
}

/** Something goes wrong while the client is still there; then the scene is played. */
export async function beforehand(
  stage: Stage,
  start: () => PromiseLike<unknown>,
): Promise<unknown> {
  const error = await rejection(start());
  await stage.depart();
  return error;
}

/** A function as a promise: what it throws becomes a rejection. */
export async function called(run: () => unknown): Promise<unknown> {
  return run();
}

/** Rejects as soon as `signal` is aborted, with its reason. */
export function reasonOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => {
      // Whatever the reason is: that is what libraries reject with.
      reject(signal.reason as Error);
    };
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

/** Reads a body to its end. */
export async function drain(body: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of body) {
    // What it says does not matter.
  }
}

/** Turns an error that came as an event into a rejection. */
export async function throwing(error: Promise<unknown>): Promise<never> {
  throw await error;
}

/** A case of what goes wrong by itself, after the scene. */
export function broken(
  what: string,
  source: string,
  look: Case['look'],
  start: () => PromiseLike<unknown>,
): Case {
  return { what, source, look, noise: FAILURE, provoke: (stage) => meanwhile(stage, start) };
}

/** A TCP server that answers each connection with these bytes, and what it did then. */
export async function rawServer(
  bytes: string,
  then: 'end' | 'reset' | 'wait' = 'wait',
): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {
      // The other side is the one that is looked at.
    });
    socket.once('data', () => {
      if (then === 'reset') socket.resetAndDestroy();
      else if (then === 'end') socket.end(bytes);
      else if (bytes !== '') socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Another stream of the same app in the middle of its answer, and its client's leaving. */
export interface Neighbour {
  readonly handle: StreamHandle;
  leave(): Promise<void>;
}

/** Opens another stream, which has nothing to do with the one on the stage. */
export async function neighbour({ keep }: Stage): Promise<Neighbour> {
  let found: StreamHandle | undefined;
  const middleware = keep.observe();
  const testServer = await serve((req, res) => {
    void middleware(req, res, () => {
      res.writeHead(200, { 'content-type': 'text/plain' });
      res.write('other ');
      found = keep.stream(res);
    });
  });
  const httpClient = await openClient(testServer, '/');
  await httpClient.sees('other ');
  const handle = await until('the other stream is there', () => found);
  return {
    handle,
    leave: async () => {
      httpClient.fin();
      await until('the other stream is left', () => handle.signal.aborted);
    },
  };
}

/** Work that ends with what `start` rejects with once its signal is aborted. */
export function under(
  what: string,
  source: string,
  look: Case['look'],
  start: (signal: AbortSignal) => PromiseLike<unknown>,
): Case {
  return {
    what,
    source,
    look,
    noise: CONSEQUENCE,
    provoke: (stage) => cancelled(stage, start),
  };
}
