/** The ways in which handlers of the app write their answers. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { constants, createGzip } from 'node:zlib';
import { chatChunk } from '../support/frames.ts';
import type { Ask, HandlerKind } from './conversation.ts';

type Write = (ask: Ask, res: ServerResponse) => Promise<void>;

/** The frames of an answer, with a pause after each token. */
async function* frames({ tokens, times, gapMs, atOnce }: Ask): AsyncGenerator<string> {
  for (const token of tokens) {
    yield chatChunk({ content: token.repeat(times) });
    if (atOnce !== true) await sleep(gapMs);
  }
  yield chatChunk({}, 'stop');
  yield 'data: [DONE]\n\n';
}

/** The most common loop; with `atOnce` all frames are written in one turn. */
const express: Write = async (ask, res) => {
  asEvents(res);
  for (const token of ask.tokens) {
    res.write(chatChunk({ content: token.repeat(ask.times) }));
    if (ask.atOnce !== true) await sleep(ask.gapMs);
  }
  res.write(chatChunk({}, 'stop'));
  res.end('data: [DONE]\n\n');
};

/** Waits for `drain` when the client reads slowly. */
const iterator: Write = async (ask, res) => {
  asEvents(res);
  for await (const frame of frames(ask)) if (!res.write(frame)) await once(res, 'drain');
  res.end();
};

const pipe: Write = (ask, res) => pipeline(Readable.from(frames(ask)), asEvents(res));

/** Passes on the body of a `Response`, as proxies of a model do. */
const fetched: Write = async (ask, res) => {
  const bytes = Readable.from(frames(ask)).map((frame: string) => Buffer.from(frame));
  const { body } = new Response(Readable.toWeb(bytes) as ReadableStream<Uint8Array>);
  if (body === null) throw new Error('the response has a body');
  asEvents(res);
  for await (const chunk of body) res.write(chunk);
  res.end();
};

/** With the middleware `compression` before the guard, and its `flush` after each frame. */
const compressed: Write = async (ask, res) => {
  asEvents(res);
  for await (const frame of frames(ask)) {
    res.write(frame);
    if ('flush' in res && typeof res.flush === 'function') res.flush();
  }
  res.end();
};

/** Compresses the body itself: the guard receives encoded bytes. */
const encoded: Write = async (ask, res) => {
  asEvents(res).setHeader('content-encoding', 'gzip');
  const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH });
  await pipeline(Readable.from(frames(ask)), gzip, res);
};

/** The handlers by kind. */
export const WRITERS: Readonly<Record<HandlerKind, Write>> = {
  express,
  plain: express,
  pipe,
  iterator,
  fetch: fetched,
  compressed,
  encoded,
};

function asEvents(res: ServerResponse): ServerResponse {
  res.setHeader('content-type', 'text/event-stream; charset=utf-8');
  return res;
}
