/** Clients: each asks, reads frame by frame, leaves when it was told to, and notes what it really got. */
import { type Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect, constants } from 'node:http2';
import { StringDecoder } from 'node:string_decoder';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGunzip } from 'node:zlib';
import { createParser } from 'eventsource-parser';
import { pathOf, type Conversation, type Leave } from './conversation.ts';
import { pipeline } from './pipeline.ts';

/** A client of an app that was stopped or killed behind a namespace would otherwise wait for ever. */
const PATIENCE_MS = 60_000;

/** Where an app listens: HTTP/1, and HTTP/2 without TLS. */
export interface Addresses {
  readonly url: string;
  readonly http2Url: string;
}

/** Notes what a client gets of one answer; `leave` is called where it is to go. */
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

  /** The head has come; `header` gives a header by its name in lower case. */
  head(status: number | undefined, header: (name: string) => string | undefined): void {
    this.#conversation.status = status;
    this.#conversation.streamId = header('x-stream-id');
    this.#conversation.messageId = header('x-message-id');
  }

  /** A piece of the body has come. */
  body(bytes: Buffer): void {
    this.#parser.feed(this.#decoder.write(bytes));
  }

  #take(data: string): void {
    // Frames that came in one piece with the one it left at were not read.
    if (this.#isGone) return;
    const conversation = this.#conversation;
    if (data === '[DONE]') return this.#leaveAt('done');
    // A frame of our own app.
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
    // Who closes one half only goes on reading.
    this.#isGone = leave.by !== 'half';
    this.#leave(leave.by);
  }
}

/**
 * Asks and reads over HTTP/1. Resolves when the answer is over, however it ended; never rejects. `agent` keeps connections;
 * without it each conversation has its own.
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
      // A connection that breaks is what this is about; what came before it counts.
      answer.on('error', () => {});
      // A request that is destroyed when its answer has ended does not tell of its end (Node 20).
      answer.on('close', () => resolve());
      readAnswer(answer, reader, conversation);
    });
    ask.on('timeout', () => ask.destroy());
    // The same: refused, reset and our own leaving all end in 'close'.
    ask.on('error', () => {});
    ask.on('close', () => resolve());
    ask.end(JSON.stringify(conversation.ask));
  });
}

/** Asks and reads over HTTP/2, on a connection of its own. Resolves and never rejects, as `converse`. */
export function converseHttp2(conversation: Conversation, base: string): Promise<void> {
  return new Promise((resolve) => {
    const session = connect(base);
    // Refused, reset or ended: what came before it counts.
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

/** Asks for all of them at once on one connection. Resolves and never rejects, as `converse`. */
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
    // What its handler encoded is encoded in the body that others read; what a middleware did to it is not.
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
