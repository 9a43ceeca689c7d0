/**
 * One visit of a probe: sends the request, reads, and ends the connection in one of the exit modes. Uses `node:http` with its own socket,
 * because a higher interface can neither reset a connection nor stop reading from it.
 */
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { createGunzip, constants } from 'node:zlib';
import { resolveFormat, TerminalDetector } from '../../formats/index.ts';
import { witness, type Witnessed } from './witness.ts';

/** Every exit mode, in the order of the report. */
export const EXIT_MODES = [
  'close',
  'reset',
  'stop-reading',
  'last-frame',
  'complete',
  'gzip',
] as const;

/**
 * `stop-reading` reads nothing more for a while and then resets; `last-frame` closes at the finish marker; `gzip` requests a compressed
 * answer and closes as `close` does.
 */
export type ExitMode = (typeof EXIT_MODES)[number];

/** The request, and how to end it. */
export interface Asking {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  readonly exitMode: ExitMode;
  /** The format by which `last-frame` recognises the last frame: a name, or `auto`. It is not used for the result. */
  readonly format: string;
  /** The visit fails if it has not ended after this time. */
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
  /** The failure, if there was one; what was received before it counts nevertheless. */
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
    // A broken connection is a result, not an error of the probe: what was read before it counts.
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
  /** The socket that HTTP uses. */
  readonly socket: Socket;
  /** The TCP connection below TLS: only that can be reset. */
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
  // Not `agent: false`: that creates an agent, which opens its own connection.
  return request(url, {
    method,
    headers: { ...accept, ...headers },
    createConnection: () => socket,
  });
}

interface Answer {
  /** What was received until the visit ended, or until now. */
  seen(): Witnessed;
  readonly finished: boolean;
  readonly isWhole: boolean;
  readonly messageId: string | undefined;
  readonly isGuarded: boolean;
}

/** Reads until the exit mode ends the visit. */
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
      // The connection broke or was closed here: the events of the request report that.
    });
  }
  return answer;
}

/** The body as text, decompressed as far as it was received. */
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

/** The implementation of each exit mode. */
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
