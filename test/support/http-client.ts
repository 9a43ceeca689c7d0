/**
 * A client with functions that HTTP libraries do not have: it can leave by FIN, by RST or by closing half of the connection, stop reading,
 * and return the exact bytes.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { TestServer } from './test-server.ts';
import { soon, until } from './until.ts';

/** Options of a request. */
export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A response, as far as it was received. */
export interface Reply {
  readonly status: number;
  /** Names in lower case; of a repeated one the last. */
  readonly headers: Readonly<Record<string, string>>;
  /** Status line and headers, byte for byte. */
  readonly head: string;
  /** Without the chunked framing. */
  readonly body: Buffer;
  readonly trailers: string;
  /** True when nothing is missing: the last chunk or the whole Content-Length is there. */
  readonly whole: boolean;
}

/** One connection with one request. */
export interface HttpClient {
  readonly socket: Socket;
  /** Every byte so far. */
  readonly raw: Buffer;
  readonly reply: Reply | undefined;
  /** The body so far, as text; '' before the headers. */
  readonly text: string;
  /** True once the connection is closed, by either side. */
  readonly gone: boolean;
  /** Resolves when the body holds `text`. */
  sees(text: string): Promise<void>;
  /** Resolves when the server has ended the connection, or the response is whole. */
  over(): Promise<Reply>;
  /** Closes the connection as a closed tab does. */
  fin(): void;
  /** Resets the connection. */
  rst(): void;
  /** Ends the sending half of the connection, and continues to read. */
  halfClose(): void;
  pause(): void;
  resume(): void;
  send(bytes: string): void;
}

/** The part of a server that `openClient` needs. */
export type Address = Pick<TestServer, 'port' | 'transport'>;

/** Opens a connection to `testServer` and requests `path`. */
export async function openClient(
  testServer: Address,
  path: string,
  asking: Asking = {},
): Promise<HttpClient> {
  const httpClient = await dial(testServer);
  httpClient.send(request(path, asking));
  return httpClient;
}

/** The ways in which a client closes its connection. */
export const EXIT_MODES = ['fin', 'rst'] as const;

/** The bytes of a request. */
export function request(path: string, { method = 'GET', headers = {}, body }: Asking = {}): string {
  const lines = Object.entries({
    host: 'localhost',
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`;
}

/** Opens a connection without a request. */
export async function dial(testServer: Address): Promise<HttpClient> {
  const plain = connect({ port: testServer.port, host: 'localhost', allowHalfOpen: true });
  const socket =
    testServer.transport === 'https'
      ? connectTls({ socket: plain, rejectUnauthorized: false })
      : plain;
  const pieces: Buffer[] = [];
  let gone = false;
  let ended = false;
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  socket.on('error', () => {
    // A server may reset the connection: `gone` reports it.
  });
  plain.on('error', () => {
    // As above, for the connection below TLS.
  });
  socket.on('end', () => {
    ended = true;
  });
  socket.on('close', () => {
    gone = true;
  });
  onTestFinished(() => {
    plain.destroy();
  });
  await soon(
    'the connection',
    new Promise<void>((resolve) => {
      socket.once(testServer.transport === 'https' ? 'secureConnect' : 'connect', () => resolve());
    }),
  );
  const raw = (): Buffer => {
    if (pieces.length > 1) pieces.splice(0, pieces.length, Buffer.concat(pieces));
    return pieces[0] ?? Buffer.alloc(0);
  };
  const reply = (): Reply | undefined => parseReply(raw(), gone || ended);
  const httpClient: HttpClient = {
    socket,
    get raw() {
      return raw();
    },
    get reply() {
      return reply();
    },
    get text() {
      return reply()?.body.toString() ?? '';
    },
    get gone() {
      return gone || ended;
    },
    sees: async (text) => {
      await until(`the client sees ${JSON.stringify(text.slice(0, 60))}`, () =>
        httpClient.text.includes(text),
      );
    },
    over: () =>
      until('the response is over', () => {
        const now = reply();
        if (now?.whole === true) return now;
        return gone || ended ? (now ?? nothing) : undefined;
      }),
    fin: () => socket.destroy(),
    rst: () => plain.resetAndDestroy(),
    halfClose: () => socket.end(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    send: (bytes) => socket.write(bytes),
  };
  return httpClient;
}

const nothing: Reply = {
  status: 0,
  headers: {},
  head: '',
  body: Buffer.alloc(0),
  trailers: '',
  whole: false,
};

/** Reads the first final response in `raw`; `over`: no more bytes will come. */
function parseReply(raw: Buffer, over: boolean): Reply | undefined {
  const split = raw.indexOf('\r\n\r\n');
  if (split < 0) return undefined;
  const head = raw.subarray(0, split).toString('latin1');
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  const status = Number(statusLine.split(' ')[1]);
  const rest = raw.subarray(split + 4);
  if (status < 200) return parseReply(rest, over);
  if (status === 204 || status === 304) over = true;
  return { status, headers, head, ...body(rest, headers, over) };
}

function body(
  rest: Buffer,
  headers: Readonly<Record<string, string>>,
  over: boolean,
): Pick<Reply, 'body' | 'trailers' | 'whole'> {
  if (headers['transfer-encoding'] === 'chunked') return unchunk(rest);
  const length = headers['content-length'];
  if (length === undefined) return { body: rest, trailers: '', whole: over };
  return {
    body: rest.subarray(0, Number(length)),
    trailers: '',
    whole: rest.length >= Number(length),
  };
}

function unchunk(rest: Buffer): Pick<Reply, 'body' | 'trailers' | 'whole'> {
  const parts: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = rest.indexOf('\r\n', at);
    if (lineEnd < 0) break;
    const size = Number.parseInt(rest.subarray(at, lineEnd).toString('latin1'), 16);
    const start = lineEnd + 2;
    if (size === 0) {
      const tail = rest.subarray(start).toString('latin1');
      return { body: Buffer.concat(parts), trailers: tail, whole: tail.endsWith('\r\n') };
    }
    parts.push(rest.subarray(start, Math.min(start + size, rest.length)));
    at = start + size + 2;
    if (at > rest.length) break;
  }
  return { body: Buffer.concat(parts), trailers: '', whole: false };
}
