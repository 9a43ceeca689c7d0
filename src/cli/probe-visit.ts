/**
 * One visit of a probe: asks, reads, and leaves in one of the ways in which clients leave. On `node:http` and a socket of
 * our own, because nothing above it can reset a connection or stop reading it.
 */
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { TerminalDetector, BodyReader } from '../formats/index.ts';

/** Every way, in the order of the report. */
export const WAYS = ['close', 'reset', 'stop-reading', 'last-frame', 'complete'] as const;

/** `stop-reading` reads nothing more for a while and then resets; `last-frame` closes at the finish marker. */
export type Way = (typeof WAYS)[number];

/** What is asked for. */
export interface Asking {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly way: Way;
  /** It gives up when it could not leave in its way for so long. */
  readonly timeoutMs: number;
  /** How long `stop-reading` keeps its connection. */
  readonly stallMs: number;
}

/** What came of it. */
export interface Visit {
  /** The text that was read, as far as it was read when the client left. */
  readonly seen: string;
  /** The finish marker, or the end of the body, was read. */
  readonly finished: boolean;
  /** The header `X-Message-Id`. */
  readonly messageId: string | undefined;
  /** What went wrong, if something did; what was seen before counts all the same. */
  readonly failure: string | undefined;
}

/** Visits once. Never rejects. */
export function visit(asking: Asking): Promise<Visit> {
  return new Promise((resolve) => {
    const socket = dial(new URL(asking.url));
    const client = open(asking, socket);
    let answer: Answer | undefined;
    let failure: string | undefined;
    const fail = (why: string): void => {
      failure ??= why;
      client.destroy();
    };
    const limit = setTimeout(() => fail('did not get to its end in time'), asking.timeoutMs);
    client.on('response', (response) => {
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) return fail(`was answered with status ${status}`);
      answer = readAnswer(response, asking, socket);
    });
    // A connection that breaks is one of the things a probe looks at: what was read before it counts.
    client.on('error', (error: NodeJS.ErrnoException) => {
      failure ??= `broke off (${error.code ?? error.name})`;
    });
    client.on('close', () => {
      clearTimeout(limit);
      const seen = answer?.seen() ?? '';
      resolve({ seen, finished: answer?.finished === true, messageId: answer?.messageId, failure });
    });
    client.end(asking.body);
  });
}

interface Dialed {
  /** What HTTP is spoken over. */
  readonly socket: Socket;
  /** The TCP connection: only that can be reset. */
  readonly plain: Socket;
}

function dial({ protocol, hostname, port }: URL): Dialed {
  const secure = protocol === 'https:';
  // The brackets of an IPv6 address belong to the URL.
  const host = hostname.replace(/^\[|\]$/g, '');
  const plain = connect({ host, port: Number(port) || (secure ? 443 : 80) });
  return { plain, socket: secure ? connectTls({ socket: plain, servername: host }) : plain };
}

function open({ url, method, headers }: Asking, { socket }: Dialed): ClientRequest {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  // Not `agent: false`: that makes an agent, which makes a connection of its own.
  return request(url, { method, headers: { ...headers }, createConnection: () => socket });
}

interface Answer {
  /** What was read until it left, or until now. */
  seen(): string;
  readonly finished: boolean;
  readonly messageId: string | undefined;
}

/** Reads until it is time to leave, and leaves. */
function readAnswer(response: IncomingMessage, { way, stallMs }: Asking, dialed: Dialed): Answer {
  const { headers } = response;
  const contentType = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const reading = new BodyReader('auto', contentType);
  const watch = new TerminalDetector('auto', contentType);
  const messageId = headers['x-message-id'];
  let left: string | undefined;
  const answer = {
    seen: () => left ?? reading.result().text,
    finished: false,
    messageId: typeof messageId === 'string' ? messageId : undefined,
  };
  const isTime = (finishes: boolean): boolean => {
    if (way === 'complete') return false;
    return way === 'last-frame' ? finishes : reading.result().text !== '';
  };
  response.setEncoding('utf8');
  response.on('data', (piece: string) => {
    if (left !== undefined) return;
    reading.feed(piece);
    const finishes = watch.inspect(piece) === 'finish';
    answer.finished ||= finishes;
    if (!isTime(finishes)) return;
    left = answer.seen();
    LEAVE[way]({ ...dialed, response, stallMs });
  });
  response.on('end', () => {
    answer.finished ||= left === undefined;
  });
  response.on('error', () => {
    // Cut off by the other side, or left by us: the request's own events tell.
  });
  return answer;
}

interface Leaving extends Dialed {
  readonly response: IncomingMessage;
  readonly stallMs: number;
}

const close = ({ response }: Leaving): void => void response.destroy();

const reset = ({ plain, response }: Leaving): void => {
  plain.resetAndDestroy();
  response.destroy();
};

/** How each way of leaving is done, once it is time. */
const LEAVE: Readonly<Record<Way, (leaving: Leaving) => void>> = {
  close,
  reset,
  'stop-reading': (leaving) => {
    leaving.response.pause();
    setTimeout(() => reset(leaving), leaving.stallMs);
  },
  'last-frame': close,
  complete: () => undefined,
};
