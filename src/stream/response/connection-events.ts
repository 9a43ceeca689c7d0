/**
 * `'close'` and `'timeout'` of a connection, for the streams on it: one listener of ours for all of them, because Node warns of too
 * many listeners, and ten pipelined requests would add ten.
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
  /** The socket's other listeners are receiving its `'close'` now. */
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

  /** Our listeners come before Node's own, which change the state that the close verdict reads. */
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
 * Whether Node itself destroys this response, and not its handler: when a connection closes, Node 24 and 26 destroy the responses
 * that are queued behind another one on it.
 */
export function isDestroyedByNode({ socket, res }: Exchange, error: unknown): boolean {
  if (res.socket !== null || connections.get(socket)?.isClosing !== true) return false;
  return error instanceof Error && 'code' in error && error.code === 'ECONNRESET';
}

/** Calls `listener` for the events of its connection; the returned function removes it. */
export function listenToConnection(socket: Socket, listener: ConnectionListener): () => void {
  const events = connections.get(socket) ?? new ConnectionEvents(socket);
  connections.set(socket, events);
  events.add(listener);
  return () => events.delete(listener);
}
