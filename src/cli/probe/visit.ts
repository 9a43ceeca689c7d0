/**
 * One visit of a probe: asks, reads, and leaves in one of the ways in which clients leave. On `node:http` and a socket of
 * our own, because nothing above it can reset a connection or stop reading it.
 */
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { createGunzip, constants } from 'node:zlib';
import { resolveFormat, TerminalDetector } from '../../formats/index.ts';
import { witness, type Witnessed } from './witness.ts';

/** Every way to leave, in the order of the report. */
export const EXIT_MODES = [
  'close',
  'reset',
  'stop-reading',
  'last-frame',
  'complete',
  'gzip',
] as const;

/**
 * `stop-reading` reads nothing more for a while and then resets; `last-frame` closes at the finish marker; `gzip` closes as
 * `close` does, having asked for a compressed answer.
 */
export type ExitMode = (typeof EXIT_MODES)[number];

/** What is asked for. */
export interface Asking {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly exitMode: ExitMode;
  /** The format by which `last-frame` recognises the last frame: a name, or `auto`. It is not used for the result. */
  readonly format: string;
  /** The visit gives up when it could not leave in its way for this long. */
  readonly timeoutMs: number;
  /** How long `stop-reading` keeps its connection. */
  readonly stallMs: number;
}

/** The result of a visit. */
export interface Visit {
  /** What was received until the client left. */
  readonly seen: Witnessed;
  /** The whole body was received. */
  readonly isWhole: boolean;
  /** The finish marker, or the end of the body, was read. */
  readonly finished: boolean;
  /** The header `X-Message-Id`. */
  readonly messageId: string | undefined;
  /** Whether the answer had the header `X-Stream-Id`, which a guard sets. */
  readonly isGuarded: boolean;
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
      resolve({
        seen: answer?.seen() ?? NOTHING,
        isWhole: answer?.isWhole === true,
        finished: answer?.finished === true,
        messageId: answer?.messageId,
        isGuarded: answer?.isGuarded === true,
        failure,
      });
    });
    client.end(asking.body);
  });
}

const NOTHING: Witnessed = { texts: [], strings: [], failed: false };

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

function open({ url, method, headers, exitMode }: Asking, { socket }: Dialed): ClientRequest {
  const accept = exitMode === 'gzip' ? { 'accept-encoding': 'gzip' } : {};
  const request = url.startsWith('https:') ? httpsRequest : httpRequest;
  // Not `agent: false`: that makes an agent, which makes a connection of its own.
  return request(url, {
    method,
    headers: { ...accept, ...headers },
    createConnection: () => socket,
  });
}

interface Answer {
  /** What was received until it left, or until now. */
  seen(): Witnessed;
  readonly finished: boolean;
  readonly isWhole: boolean;
  readonly messageId: string | undefined;
  readonly isGuarded: boolean;
}

/** Reads until it is time to leave, and leaves. */
function readAnswer(response: IncomingMessage, asking: Asking, dialed: Dialed): Answer {
  const { exitMode, stallMs, format } = asking;
  const { headers } = response;
  const contentType = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const detector = new TerminalDetector(resolveFormat(format), contentType);
  const messageId = headers['x-message-id'];
  let body = '';
  let left: Witnessed | undefined;
  const answer = {
    seen: () => left ?? witness(body, contentType, answer.isWhole),
    finished: false,
    isWhole: false,
    messageId: typeof messageId === 'string' ? messageId : undefined,
    isGuarded: headers['x-stream-id'] !== undefined,
  };
  const isTime = (finishes: boolean): boolean => {
    if (exitMode === 'complete') return false;
    return exitMode === 'last-frame' ? finishes : answer.seen().texts.length > 0;
  };
  const decoded = textOf(response);
  decoded.on('data', (piece: string) => {
    if (left !== undefined) return;
    body += piece;
    const finishes = detector.inspect(piece) === 'finish';
    answer.finished ||= finishes;
    if (!isTime(finishes)) return;
    left = answer.seen();
    LEAVE[exitMode]({ ...dialed, response, stallMs });
  });
  decoded.on('end', () => {
    answer.isWhole = left === undefined && response.complete;
    answer.finished ||= answer.isWhole;
  });
  for (const stream of [response, decoded]) {
    stream.on('error', () => {
      // Cut off by the other side, or left by us: the request's own events tell.
    });
  }
  return answer;
}

/** The body as text, decompressed as far as it has come. */
function textOf(response: IncomingMessage): Readable {
  if (response.headers['content-encoding'] !== 'gzip') return response.setEncoding('utf8');
  const gunzip = createGunzip({
    flush: constants.Z_SYNC_FLUSH,
    finishFlush: constants.Z_SYNC_FLUSH,
  });
  return response.pipe(gunzip).setEncoding('utf8');
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

/** The code of each way of leaving. */
const LEAVE: Readonly<Record<ExitMode, (leaving: Leaving) => void>> = {
  close,
  reset,
  'stop-reading': (leaving) => {
    leaving.response.pause();
    setTimeout(() => reset(leaving), leaving.stallMs);
  },
  'last-frame': close,
  complete: () => undefined,
  gzip: close,
};
