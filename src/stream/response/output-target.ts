/** The connection or HTTP/2 stream that sends a response: how much is unsent, and which of the two it is. */
import type { EventEmitter } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { StreamLog } from '../../core/save-port.ts';

/** The callback of a write. */
export type Done = (error?: Error | null) => void;

/** One write, as `_writev` receives it. */
export interface Chunk {
  readonly chunk: string | Uint8Array;
  readonly encoding: unknown;
}

/** An object with a `_write`, or only a `write`, as some stand-ins for a socket have. */
export type OutputTarget = Socket | ServerHttp2Stream;

/** The members of a log that are used before bytes are sent. */
export type WriteAhead = Pick<StreamLog, 'clean' | 'ahead' | 'flush'>;

/** Called before bytes are sent: returns `undefined` where they may be, else a promise that resolves when they may. Never rejects. */
export type Acknowledge = () => Promise<unknown> | undefined;

/** Copies the bytes of a write: Node would have sent them in its tick, after which a handler may reuse its buffer. */
export function copyOf({ chunk, encoding }: Chunk): Chunk {
  return { chunk: typeof chunk === 'string' ? chunk : Buffer.from(chunk), encoding };
}

/** How much was written to `target` and not yet passed to its `_write`. */
export function unsent(target: OutputTarget): number {
  const { _writableState: state } = target as {
    _writableState?: { writing?: boolean; writelen?: number };
  };
  return (target.writableLength ?? 0) - (state?.writing === true ? (state.writelen ?? 0) : 0);
}

export function isHttp2(target: OutputTarget): target is ServerHttp2Stream {
  return 'rstCode' in target;
}

/** The target as a plain emitter: the listener types of the two kinds differ. */
export function emitterOf(target: OutputTarget): EventEmitter {
  return target;
}

export function destroyedError(): Error {
  const message = 'Cannot call write after a stream was destroyed';
  return Object.assign(new Error(message), { code: 'ERR_STREAM_DESTROYED' });
}
