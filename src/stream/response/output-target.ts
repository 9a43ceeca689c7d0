/** A connection, or a stream of HTTP/2, as the end of a response: what it has still to send, and which of the two it is. */
import type { EventEmitter } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { StreamLog } from '../../core/save-port.ts';

/** The callback of a write. */
export type Done = (error?: Error | null) => void;

/** One write, as `_writev` has it. */
export interface Chunk {
  readonly chunk: string | Uint8Array;
  readonly encoding: unknown;
}

/** What has a `_write`, or, as some stand-ins for a socket, only a `write`. */
export type OutputTarget = Socket | ServerHttp2Stream;

/** What a log is asked before bytes leave. */
export type WriteAhead = Pick<StreamLog, 'clean' | 'ahead' | 'flush'>;

/** What somebody elsewhere is asked before bytes leave: `undefined` where they may, else what resolves when they may. Never rejects. */
export type Acknowledge = () => Promise<unknown> | undefined;

/** Behind the tick of a write, in which Node would have sent it, a handler may fill its buffer anew. */
export function copyOf({ chunk, encoding }: Chunk): Chunk {
  return { chunk: typeof chunk === 'string' ? chunk : Buffer.from(chunk), encoding };
}

/** How much was written to `target` and is not on its way yet. */
export function unsent(target: OutputTarget): number {
  const { _writableState: state } = target as {
    _writableState?: { writing?: boolean; writelen?: number };
  };
  return (target.writableLength ?? 0) - (state?.writing === true ? (state.writelen ?? 0) : 0);
}

export function isHttp2(target: OutputTarget): target is ServerHttp2Stream {
  return 'rstCode' in target;
}

/** Its listeners, whose types the two kinds do not share. */
export function emitterOf(target: OutputTarget): EventEmitter {
  return target;
}

export function destroyedError(): Error {
  const message = 'Cannot call write after a stream was destroyed';
  return Object.assign(new Error(message), { code: 'ERR_STREAM_DESTROYED' });
}
