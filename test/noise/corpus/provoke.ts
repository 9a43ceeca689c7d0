/** Means to provoke errors: upstreams with bad manners, and ways to catch what comes of them. */
import type { EventEmitter } from 'node:events';
import type { RequestListener } from 'node:http';
import { chatChunk } from '../../support/frames.ts';
import { serve } from '../../support/test-server.ts';
import { soon } from '../../support/until.ts';
import type { Stage } from './case.ts';

/** What `promise` rejects with; rejects if it does not. */
export async function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  const settled = Promise.resolve(promise).then(
    () => {
      throw new Error('nothing went wrong');
    },
    (error: unknown) => error,
  );
  return soon('the error', settled);
}

/** The next `'error'` event. */
export function errorEvent(emitter: EventEmitter): Promise<unknown> {
  return soon(
    'an error event',
    new Promise((resolve) => {
      emitter.once('error', resolve);
    }),
  );
}

/** What a callback gets as its first argument. */
export function callbackError(run: (done: (error?: unknown) => void) => void): Promise<unknown> {
  return soon(
    'the callback',
    new Promise((resolve) => {
      run(resolve);
    }),
  );
}

/** Starts work, plays the scene, then aborts the work as handlers do that listen for the close. */
export async function abortAfter(
  stage: Stage,
  start: (signal: AbortSignal) => PromiseLike<unknown>,
): Promise<unknown> {
  const controller = new AbortController();
  const error = rejection(start(controller.signal));
  await stage.depart();
  controller.abort();
  return error;
}

/** Work under the stream's own signal, which the scene aborts. */
export async function ours(
  stage: Stage,
  start: (signal: AbortSignal) => PromiseLike<unknown>,
): Promise<unknown> {
  const error = rejection(start(stage.handle.signal));
  await stage.depart();
  return error;
}

/** Plays the scene first; what goes wrong then has nothing to do with it. */
export async function meanwhile(stage: Stage, start: () => PromiseLike<unknown>): Promise<unknown> {
  await stage.depart();
  return rejection(start());
}

const HEAD = { 'content-type': 'text/event-stream' };

const MANNERS = {
  silent: () => {
    // Never answers.
  },
  speaking: (_req, res) => {
    res.writeHead(200, HEAD);
    res.write(chatChunk({ content: 'hi' }));
  },
  cutting: (_req, res) => {
    res.writeHead(200, HEAD);
    res.write(chatChunk({ content: 'hi' }), () => setImmediate(() => res.socket?.destroy()));
  },
  hangingUp: (_req, res) => {
    res.socket?.destroy();
  },
  resetting: (_req, res) => {
    res.socket?.resetAndDestroy();
  },
  failing: (_req, res) => {
    res.writeHead(500, { 'content-type': 'application/json' });
    res.end('{"error":{"type":"api_error","message":"no"}}');
  },
  busy: (_req, res) => {
    res.writeHead(429, { 'content-type': 'application/json' });
    res.end('{"error":{"type":"rate_limit_error","message":"aborted"}}');
  },
  babbling: (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end('{"half": ');
  },
} as const satisfies Record<string, RequestListener>;

/** The address of an upstream with these manners, until the end of the test. */
export async function upstream(manners: keyof typeof MANNERS): Promise<string> {
  return (await serve(MANNERS[manners])).url;
}

/** An address where nobody listens. */
export async function nobody(): Promise<string> {
  const testServer = await serve(MANNERS.silent);
  await new Promise((resolve) => {
    testServer.server.close(resolve);
  });
  return testServer.url;
}
