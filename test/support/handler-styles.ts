/**
 * The ways in which people write a streaming handler. Each copies an upstream into a response in its own way and returns how it noticed,
 * before its end, that its client had left; `undefined` if it noticed nothing.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable, Writable, pipeline as pipelineWithCallback } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { ReadableStream, TextEncoderStream } from 'node:stream/web';
import { streamText } from 'ai';
import { MockLanguageModelV3 } from 'ai/test';
import { createSession } from 'better-sse';
import type { ControllableUpstream } from './controllable-upstream.ts';

/** One way of writing a handler. */
export interface HandlerStyle {
  readonly name: string;
  /** False for the two styles that use the raw socket, from which the disconnect is not hidden. */
  readonly sheltered: boolean;
  /** True when the client has to stop reading before it leaves. */
  readonly stalls: boolean;
  /** Copies `upstream` into `res`; resolves when the handler has finished. */
  run(
    req: IncomingMessage,
    res: ServerResponse,
    upstream: ControllableUpstream,
  ): Promise<string | undefined>;
}

type Run = HandlerStyle['run'];

const plainLoop: Run = (_, res, upstream) => copyWhile(res, upstream, () => undefined);

const pipelineCallback: Run = (_, res, upstream) =>
  new Promise((resolve) => {
    pipelineWithCallback(Readable.from(upstream), asText(res), (error) => resolve(codeOf(error)));
  });

const pipelinePromise: Run = async (_, res, upstream) => {
  try {
    await pipeline(Readable.from(upstream), asText(res));
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
};

const webPipe: Run = (_, res, upstream) =>
  new Promise((resolve) => {
    res.once('finish', () => resolve(undefined));
    res.once('close', () => resolve('close'));
    Readable.fromWeb(webStream(upstream)).pipe(asText(res));
  });

const webPipeTo: Run = async (_, res, upstream) => {
  try {
    await webStream(upstream).pipeTo(Writable.toWeb(asText(res)));
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
};

const awaitEnd: Run = async (_, res, upstream) => {
  asText(res);
  for await (const chunk of upstream) res.write(chunk);
  await new Promise<void>((resolve) => {
    res.end(() => resolve());
  });
  return undefined;
};

const awaitFinished: Run = async (req, res, upstream) => {
  const over = finished(res).then(() => undefined, codeOf);
  await plainLoop(req, res, upstream);
  return over;
};

const onceFinish: Run = async (req, res, upstream) => {
  const finish = once(res, 'finish');
  await plainLoop(req, res, upstream);
  await finish;
  return undefined;
};

/** Passes the upstream through the AI SDK as the answer of a model. */
const aiSdk: Run = async (_, res, upstream) => {
  let noticed: string | undefined;
  res.once('close', () => {
    if (!res.writableFinished) noticed = 'close';
  });
  const result = streamText({
    model: new MockLanguageModelV3({
      doStream: () => Promise.resolve({ stream: ReadableStream.from(modelParts(upstream)) }),
    }),
    prompt: 'hello',
  });
  await result.pipeUIMessageStreamToResponse(res);
  return noticed;
};

const betterSse: Run = async (req, res, upstream) => {
  const session = await createSession(req, res, { keepAlive: null, retry: null });
  for await (const chunk of upstream) {
    if (!session.isConnected) return (res.end(), 'disconnected');
    session.push(chunk);
  }
  const noticed = session.isConnected ? undefined : 'disconnected';
  res.end();
  return noticed;
};

const waitsForDrain: Run = async (_, res, upstream) => {
  asText(res);
  for await (const chunk of upstream) if (!res.write(chunk)) await once(res, 'drain');
  res.end();
  return undefined;
};

const requestClose: Run = (req, res, upstream) => copyUntilEvent(res, upstream, req, 'close');
const responseClose: Run = (_, res, upstream) => copyUntilEvent(res, upstream, res, 'close');

const requestAborted: Run = async (req, res, upstream) => {
  let event: string | undefined;
  req.once('aborted', () => {
    event = 'aborted event';
  });
  return copyWhile(res, upstream, () => event ?? (req.aborted ? 'req.aborted' : undefined));
};

const responseDestroyed: Run = (_, res, upstream) =>
  copyWhile(res, upstream, () => (res.destroyed || res.closed ? 'res.destroyed' : undefined));

const requestDestroyed: Run = (req, res, upstream) =>
  copyWhile(res, upstream, () => (req.destroyed || req.closed ? 'req.destroyed' : undefined));

/** Requests have a signal since Node 24; before that this style notices nothing. */
const requestSignal: Run = (req, res, upstream) => {
  const { signal } = req as IncomingMessage & { readonly signal?: AbortSignal };
  return copyWhile(res, upstream, () => (signal?.aborted === true ? 'req.signal' : undefined));
};

const writableState: Run = (_, res, upstream) =>
  copyWhile(res, upstream, () => {
    if (!res.writable) return 'writable';
    if (res.writableEnded || res.writableFinished || res.finished) return 'ended';
    return (res.errored ?? res.writableNeedDrain) ? 'errored or full' : undefined;
  });

const socketClose: Run = (req, res, upstream) => copyUntilEvent(res, upstream, req.socket, 'close');

const socketDestroyed: Run = (_, res, upstream) => {
  const { socket } = res;
  return copyWhile(res, upstream, () =>
    socket?.destroyed === true ? 'socket.destroyed' : undefined,
  );
};

/** Every style. */
export const HANDLER_STYLES: readonly HandlerStyle[] = [
  sheltered('a plain for-loop', plainLoop),
  sheltered('pipeline with a callback', pipelineCallback),
  sheltered('pipeline as a promise', pipelinePromise),
  sheltered('Readable.fromWeb().pipe(res)', webPipe),
  sheltered('pipeTo(Writable.toWeb(res))', webPipeTo),
  sheltered('awaiting end(callback)', awaitEnd),
  sheltered('awaiting finished(res)', awaitFinished),
  sheltered("awaiting once(res, 'finish')", onceFinish),
  sheltered('the AI SDK', aiSdk),
  sheltered('a better-sse session', betterSse),
  { name: 'waiting for drain', sheltered: true, stalls: true, run: waitsForDrain },
  sheltered("req.on('close')", requestClose),
  sheltered("res.on('close')", responseClose),
  sheltered("req.on('aborted') and req.aborted", requestAborted),
  sheltered('polling res.destroyed', responseDestroyed),
  sheltered('polling req.destroyed', requestDestroyed),
  sheltered('polling req.signal', requestSignal),
  sheltered('polling res.writable and similar properties', writableState),
  { name: "req.socket.on('close')", sheltered: false, stalls: false, run: socketClose },
  { name: 'polling socket.destroyed', sheltered: false, stalls: false, run: socketDestroyed },
];

function sheltered(name: string, run: Run): HandlerStyle {
  return { name, sheltered: true, stalls: false, run };
}

/** The most common loop: checks whether the client is connected, writes, and ends. */
async function copyWhile(
  res: ServerResponse,
  upstream: ControllableUpstream,
  whatIsWrong: () => string | undefined,
): Promise<string | undefined> {
  asText(res);
  for await (const chunk of upstream) {
    const wrong = whatIsWrong();
    if (wrong !== undefined) return (res.end(), wrong);
    res.write(chunk);
  }
  const wrong = whatIsWrong();
  res.end();
  return wrong;
}

async function copyUntilEvent(
  res: ServerResponse,
  upstream: ControllableUpstream,
  source: NodeJS.EventEmitter,
  event: string,
): Promise<string | undefined> {
  let noticed: string | undefined;
  source.once(event, () => {
    noticed = event;
  });
  return copyWhile(res, upstream, () => noticed);
}

function asText(res: ServerResponse): ServerResponse {
  res.setHeader('content-type', 'text/plain; charset=utf-8');
  return res;
}

function webStream(upstream: ControllableUpstream): ReadableStream<Uint8Array> {
  return ReadableStream.from(upstream).pipeThrough(new TextEncoderStream());
}

async function* modelParts(upstream: ControllableUpstream): AsyncGenerator<ModelPart> {
  yield { type: 'stream-start', warnings: [] };
  yield { type: 'text-start', id: '1' };
  for await (const delta of upstream) yield { type: 'text-delta', id: '1', delta };
  yield { type: 'text-end', id: '1' };
  yield {
    type: 'finish',
    finishReason: { unified: 'stop', raw: 'stop' },
    usage: {
      inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
      outputTokens: { total: 1, text: 1, reasoning: 0 },
    },
  };
}

type ModelStream = Awaited<ReturnType<MockLanguageModelV3['doStream']>>['stream'];
type ModelPart = ModelStream extends globalThis.ReadableStream<infer Part> ? Part : never;

function codeOf(error: unknown): string | undefined {
  if (error === undefined || error === null) return undefined;
  if (!(error instanceof Error)) return 'something that is not an error';
  return 'code' in error ? String(error.code) : error.message;
}
