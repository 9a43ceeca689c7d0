/** Runs all small handlers at once on a server of their own, bare or under a guard, and records what came of each. */
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { EventEmitter } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { lastchunk, type MessageStore } from '../../src/index.ts';
import { request } from '../support/http-client.ts';
import { joinChunks } from '../support/join-chunks.ts';
import { serve, serveHttp2 } from '../support/test-server.ts';
import { SMALL_HANDLERS } from './handlers.ts';
import { HandlesLeft } from './handles.ts';
import { type Protocol, SMALL_BUFFERS, type StoreMode } from './modes.ts';
import { Probe } from './probe.ts';

/** What can be seen of one handler's run; `wire` is what its client was sent. */
export interface Run {
  readonly name: string;
  readonly probe: Pick<Probe, 'said' | 'events' | 'waiting'> | undefined;
  readonly wire: string;
  readonly connection: string;
}

/** All runs on one server; they go on until `stop`, which makes their clients leave. */
export interface Runs {
  readonly all: readonly Run[];
  /** What each handler has left behind, in their order; see `HandlesLeft`. */
  left(withUnref: boolean): readonly string[];
  stop(): void;
  /** Nothing more is asked about handles. */
  forget(): void;
}

type Listener = (
  req: EventEmitter & { readonly url?: string | undefined },
  res: EventEmitter,
) => void;

/** Asks a server for each small handler, all at the same time. */
export async function runAll(protocol: Protocol, guard: Guard | undefined): Promise<Runs> {
  const probes: Probe[] = [];
  const handles = new HandlesLeft();
  const handle: Listener = (req, res) => {
    const number = Number(req.url?.slice(1));
    const probe = new Probe(req, res);
    probes[number] = probe;
    const run = (): void => SMALL_HANDLERS[number]?.run(probe);
    handles.watch(number, probe.connection, () => {
      if (guard === undefined) run();
      else guard(req, res, run);
    });
  };
  const clients = await (protocol === 'HTTP/2' ? askHttp2(handle) : askHttp1(protocol, handle));
  return {
    all: SMALL_HANDLERS.map(({ name }, number) => ({
      name,
      get probe() {
        return probes[number];
      },
      get wire() {
        return clients[number]?.wire ?? '';
      },
      get connection() {
        return clients[number]?.connection ?? '';
      },
    })),
    left: (withUnref) => SMALL_HANDLERS.map((_, number) => handles.of(number, withUnref)),
    stop: () => {
      for (const client of clients) client.leave();
    },
    forget: () => handles.stop(),
  };
}

interface Client {
  readonly wire: string;
  readonly connection: string;
  leave(): void;
}

async function askHttp1(protocol: Protocol, handle: Listener): Promise<readonly Client[]> {
  const options = protocol === SMALL_BUFFERS ? { highWaterMark: 64 } : {};
  const transport = protocol === 'HTTPS' ? 'https' : 'http';
  const { server, port } = await serve(handle, transport, options);
  // Whether a connection stays open is looked at later than Node would wait.
  server.keepAliveTimeout = 120_000;
  return SMALL_HANDLERS.map(({ asking }, number) => {
    const socket = dial(protocol, port);
    socket.write(request(`/${number}`, asking));
    const pieces: Buffer[] = [];
    const ends: string[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    socket.on('end', () => ends.push('ended by the server'));
    socket.on('error', (error) => ends.push('code' in error ? String(error.code) : error.message));
    return {
      get wire() {
        // Where the chunked coding is cut is nobody's data.
        return joinChunks(Buffer.concat(pieces)).replaceAll(
          /^(?:date|x-stream-id|x-message-id): .*\r\n/gim,
          '',
        );
      },
      get connection() {
        return ends.join(', ') || 'open';
      },
      leave: () => socket.destroy(),
    };
  });
}

function dial(protocol: Protocol, port: number): Socket {
  const plain = connect({ port, host: 'localhost', allowHalfOpen: true });
  return protocol === 'HTTPS' ? connectTls({ socket: plain, rejectUnauthorized: false }) : plain;
}

const OURS: ReadonlySet<string> = new Set(['date', 'x-stream-id', 'x-message-id']);

async function askHttp2(handle: Listener): Promise<readonly Client[]> {
  const { url } = await serveHttp2(handle);
  return SMALL_HANDLERS.map(({ asking }, number) => {
    const session = connectHttp2(url);
    const stream = session.request({
      ':path': `/${number}`,
      ':method': asking?.method ?? 'GET',
      ...withoutHopHeaders(asking?.headers),
    });
    const heads: string[] = [];
    const pieces: Buffer[] = [];
    const ends: string[] = [];
    const note = (kind: string, headers: object): void => {
      const ours = Object.entries(headers).filter(([name]) => !OURS.has(name));
      heads.push(`${kind} ${JSON.stringify(Object.fromEntries(ours))}`);
    };
    stream.on('headers', (headers) => note('information', headers));
    stream.on('response', (headers) => note('head', headers));
    stream.on('trailers', (headers) => note('trailers', headers));
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.on('aborted', () => ends.push('aborted'));
    stream.on('end', () => ends.push('end'));
    stream.on('close', () => ends.push(`closed with ${stream.rstCode}`));
    stream.on('error', () => {
      // The code is in what is noted at its close.
    });
    session.on('error', () => ends.push('session failed'));
    session.on('close', () => ends.push('session closed'));
    return {
      get wire() {
        return [...heads, Buffer.concat(pieces).toString('latin1')].join('\n');
      },
      get connection() {
        return ends.join(', ');
      },
      leave: () => session.destroy(),
    };
  });
}

/** HTTP/2 has none that are about the connection. */
function withoutHopHeaders(headers: Readonly<Record<string, string>> = {}): object {
  const { connection: _connection, upgrade: _upgrade, ...rest } = headers;
  return rest;
}

/** Calls a handler under a guard. */
export type Guard = (req: EventEmitter, res: EventEmitter, handler: () => void) => void;

/** A guard whose store behaves as `mode` says; `close` ends its instance. */
export function guardOver(
  { save, confirmTimeoutMs }: StoreMode,
  journal: string | false,
): { readonly guard: Guard; close(): Promise<unknown>; readonly internalErrors: string[] } {
  const store: MessageStore = { save, close: () => Promise.resolve() };
  const internalErrors: string[] = [];
  const keep = lastchunk({
    store,
    journal,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    observer: { onInternalError: (_where, error) => internalErrors.push(String(error)) },
  });
  const middleware = keep.guard({ confirmTimeoutMs, missingAfterMs: 60_000 });
  // The middleware takes what Node's servers give, of which only the events matter here.
  const guard = middleware as unknown as Guard;
  return { guard, close: () => keep.close({ deadlineMs: 200 }), internalErrors };
}
