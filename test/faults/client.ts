/** Clients: each sends a request, reads frame by frame, leaves at the drawn point, and records what it received. */
import { type Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect, constants } from 'node:http2';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { createParser } from 'eventsource-parser';
import { pathOf, type Conversation, type Leave } from './conversation.ts';
import { pipeline } from './pipeline.ts';

/** Without it, the client of an app that was stopped, or killed in a pid namespace, would wait for ever. */
const PATIENCE_MS = 60_000;

/** The addresses of an app: HTTP/1, and HTTP/2 without TLS. */
export interface Addresses {
  readonly url: string;
  readonly http2Url: string;
}

/** Records what a client receives of one answer; calls `leave` at the point where the client leaves. */
export class Reader {
  readonly #conversation: Conversation;
  readonly #leave: (by: Leave['by']) => void;
  readonly #parser = createParser({ onEvent: ({ data }) => this.#take(data) });
  readonly #decoder = new StringDecoder('utf8');
  #isGone = false;

  constructor(conversation: Conversation, leave: (by: Leave['by']) => void) {
    this.#conversation = conversation;
    this.#leave = leave;
  }

  /** The head was received; `header` returns a header by its name in lower case. */
  head(status: number | undefined, header: (name: string) => string | undefined): void {
    this.#conversation.status = status;
    this.#conversation.streamId = header('x-stream-id');
    this.#conversation.messageId = header('x-message-id');
  }

  /** A piece of the body was received. */
  body(bytes: Buffer): void {
    this.#parser.feed(this.#decoder.write(bytes));
  }

  #take(data: string): void {
    // Frames after the one at which the client left, in the same piece, do not count.
    if (this.#isGone) return;
    const conversation = this.#conversation;
    if (data === '[DONE]') return this.#leaveAt('done');
    // The shape of a frame of the app.
    const { choices } = JSON.parse(data) as {
      choices: readonly { delta: { content?: string }; finish_reason: string | null }[];
    };
    const content = choices[0]?.delta.content;
    if (content !== undefined) {
      conversation.saw(content);
      conversation.tokens += 1;
      this.#leaveAt(conversation.tokens);
    }
    if (choices[0]?.finish_reason === 'stop') {
      conversation.sawFinish = true;
      this.#leaveAt('finish');
    }
  }

  #leaveAt(at: Leave['at']): void {
    const { leave } = this.#conversation;
    if (leave?.at !== at) return;
    // After a half-close the client continues to read.
    this.#isGone = leave.by !== 'half';
    this.#leave(leave.by);
  }
}

/**
 * Sends the request over HTTP/1 and reads the answer. Resolves when the answer has ended in any way; never rejects. `agent` reuses
 * connections; without it each conversation has its own.
 */
export function converse(
  conversation: Conversation,
  base: string,
  agent: Agent | false = false,
): Promise<void> {
  return new Promise((resolve) => {
    const { handler } = conversation.ask;
    const ask = request(new URL(pathOf(conversation), base), {
      method: 'POST',
      agent,
      timeout: PATIENCE_MS,
      headers: {
        'content-type': 'application/json',
        ...(handler === 'compressed' && { 'accept-encoding': 'gzip', 'x-compress': 'yes' }),
      },
    });
    const reader = new Reader(conversation, (by) => leaveBy(ask, by));
    ask.on('response', (answer) => {
      reader.head(answer.statusCode, (name) => headerOf(answer.headers[name]));
      // A broken connection is expected here; what was received before it counts.
      answer.on('error', () => {});
      // A request that is destroyed after the end of its answer emits no 'close' (Node 20).
      answer.on('close', () => resolve());
      readAnswer(answer, reader, conversation);
    });
    ask.on('timeout', () => ask.destroy());
    // 'close' follows every error: a refused or reset connection, or our own leaving.
    ask.on('error', () => {});
    ask.on('close', () => resolve());
    ask.end(JSON.stringify(conversation.ask));
  });
}

/** Sends the request over HTTP/2, on a new connection. Resolves and never rejects, as `converse`. */
export function converseHttp2(conversation: Conversation, base: string): Promise<void> {
  return new Promise((resolve) => {
    const session = connect(base);
    // Refused, reset or ended: what was received before counts.
    session.on('error', () => {});
    session.on('close', () => resolve());
    const stream = session.request({
      ':method': 'POST',
      ':path': pathOf(conversation),
      'content-type': 'application/json',
    });
    const reader = new Reader(conversation, (by) => {
      if (by === 'rst') session.destroy();
      else stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.setTimeout(PATIENCE_MS, () => session.destroy());
    stream.on('response', (headers) => {
      reader.head(headers[':status'], (name) => headerOf(headers[name]));
    });
    stream.on('error', () => {});
    const { tape, leave } = conversation;
    stream.on('data', (bytes: Buffer) => {
      tape?.add(bytes);
      reader.body(bytes);
    });
    stream.on('end', () => {
      // A stream that was reset ends too.
      if (tape !== undefined) tape.isWhole = leave === undefined && stream.rstCode === 0;
    });
    stream.on('close', () => session.destroy());
    stream.end(JSON.stringify(conversation.ask));
  });
}

/** Sends all requests at once on one connection. Resolves and never rejects, as `converse`. */
export function conversePipelined(all: readonly Conversation[], base: string): Promise<void> {
  const piped = all.map((one) => ({
    path: pathOf(one),
    body: JSON.stringify(one.ask),
    reader: new Reader(one, () => undefined),
  }));
  return pipeline(base, piped, PATIENCE_MS);
}

function readAnswer(
  answer: IncomingMessage,
  reader: Reader,
  { ask, isSlow, leave, tape }: Conversation,
): void {
  const isEncoded = answer.headers['content-encoding'] === 'gzip';
  const body = isEncoded ? answer.pipe(createGunzip()) : answer;
  // The end of a gzip body is missing where its connection broke.
  body.on('error', () => {});
  if (tape !== undefined) {
    // Readers that resume get a body as the handler wrote it: encoded if the handler encoded it, but not if a middleware did.
    const taped = ask.handler === 'encoded' ? answer : body;
    taped
      .on('data', (bytes: Buffer) => tape.add(bytes))
      .on('end', () => (tape.isWhole = leave === undefined));
  }
  body.on('data', (bytes: Buffer) => {
    reader.body(bytes);
    if (!isSlow) return;
    body.pause();
    void sleep(SLOW_PAUSE_MS).then(() => body.resume());
  });
}

const SLOW_PAUSE_MS = 40;

function leaveBy(ask: ClientRequest, by: Leave['by']): void {
  if (by === 'half') {
    ask.socket?.end();
    return;
  }
  if (by === 'rst') ask.socket?.resetAndDestroy();
  ask.destroy();
}

function headerOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
