/**
 * `'close'` and `'timeout'` of a connection, for the streams that are on it: one listener of ours for all of them, because
 * each of ten pipelined requests would be one more, and Node warns of so many.
 */
import type { Socket } from 'node:net';
import type { Exchange } from './exchange.ts';

/** What a stream does about its connection. */
export interface ConnectionListener {
  onClose(this: void, emitter: unknown): void;
  onTimeout(this: void): void;
}

class ConnectionEvents {
  readonly listeners = new Set<ConnectionListener>();
  /** Those who listen behind us are being told of the close. */
  isClosing = false;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  readonly #onClose = (): void => {
    for (const { onClose } of this.listeners) onClose(this.#socket);
    this.isClosing = true;
    process.nextTick(() => {
      this.isClosing = false;
    });
  };

  readonly #onTimeout = (): void => {
    for (const { onTimeout } of this.listeners) onTimeout();
  };

  /** In front of Node's own listeners: what is asked at a close rests on what they change. */
  add(listener: ConnectionListener): void {
    if (this.listeners.size === 0) {
      this.#socket.prependListener('close', this.#onClose);
      this.#socket.prependListener('timeout', this.#onTimeout);
    }
    this.listeners.add(listener);
  }

  delete(listener: ConnectionListener): void {
    if (!this.listeners.delete(listener) || this.listeners.size > 0) return;
    this.#socket.removeListener('close', this.#onClose);
    this.#socket.removeListener('timeout', this.#onTimeout);
  }
}

const connections = new WeakMap<Socket, ConnectionEvents>();

/**
 * Whether Node itself destroys this response: when a connection closes, Node 24 and 26 do so with those that are queued behind
 * another one on it, and by no handler's will.
 */
export function isDestroyedByNode({ socket, res }: Exchange, error: unknown): boolean {
  if (res.socket !== null || connections.get(socket)?.isClosing !== true) return false;
  return error instanceof Error && 'code' in error && error.code === 'ECONNRESET';
}

/** Tells `listener` of its connection; the returned function ends that. */
export function listenToConnection(socket: Socket, listener: ConnectionListener): () => void {
  const events = connections.get(socket) ?? new ConnectionEvents(socket);
  connections.set(socket, events);
  events.add(listener);
  return () => events.delete(listener);
}
