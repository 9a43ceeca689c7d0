/**
 * `'close'` and `'timeout'` of a connection, for the streams on it: one listener of ours for all of them, because Node warns of too
 * many listeners, and ten pipelined requests would add ten.
 */
import type { Socket } from 'node:net';
import type { Exchange } from './exchange.ts';

/** What a stream does about its connection. */
export interface ConnectionListener {
  onConnectionClose(socket: Socket): void;
  onConnectionTimeout(): void;
}

interface ConnectionEvents {
  /** A new array for each change: an event may add or remove listeners. */
  listeners: readonly ConnectionListener[];
  /** The socket's other listeners are receiving its `'close'` now. */
  isClosing: boolean;
}

const connections = new WeakMap<Socket, ConnectionEvents>();

/** Calls the listeners, except those that a listener before them removed. */
function callListeners(events: ConnectionEvents, call: (listener: ConnectionListener) => void) {
  for (const listener of events.listeners) {
    if (events.listeners.includes(listener)) call(listener);
  }
}

/** One function for all sockets: a function for each would take memory as long as its connection is open. */
function onClose(this: Socket): void {
  const events = connections.get(this);
  if (events === undefined) return;
  callListeners(events, (listener) => listener.onConnectionClose(this));
  events.isClosing = true;
  process.nextTick(() => {
    events.isClosing = false;
  });
}

function onTimeout(this: Socket): void {
  const events = connections.get(this);
  if (events !== undefined) callListeners(events, (listener) => listener.onConnectionTimeout());
}

/**
 * Whether Node itself destroys this response, and not its handler: when a connection closes, Node 24 and 26 destroy the responses
 * that are queued behind another one on it.
 */
export function isDestroyedByNode({ socket, res }: Exchange, error: unknown): boolean {
  if (res.socket !== null || connections.get(socket)?.isClosing !== true) return false;
  return error instanceof Error && 'code' in error && error.code === 'ECONNRESET';
}

/** Calls `listener` for the events of its connection, before Node's own listeners, which change the state that the close verdict reads. */
export function listenToConnection(socket: Socket, listener: ConnectionListener): void {
  const events = connections.get(socket) ?? { listeners: [], isClosing: false };
  connections.set(socket, events);
  if (events.listeners.length === 0) {
    socket.prependListener('close', onClose);
    socket.prependListener('timeout', onTimeout);
  }
  events.listeners = [...events.listeners, listener];
}

/** Ends `listenToConnection`. */
export function leaveConnection(socket: Socket, listener: ConnectionListener): void {
  const events = connections.get(socket);
  if (events === undefined || !events.listeners.includes(listener)) return;
  events.listeners = events.listeners.filter((one) => one !== listener);
  if (events.listeners.length > 0) return;
  socket.removeListener('close', onClose);
  socket.removeListener('timeout', onTimeout);
}
