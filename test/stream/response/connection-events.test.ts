/** The listeners of a connection: one of ours on the socket for all streams. */
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import {
  type ConnectionListener,
  leaveConnection,
  listenToConnection,
} from '../../../src/stream/response/connection-events.ts';

function listenerOf(calls: string[], name: string, act = (): void => undefined) {
  const called = (event: string) => (): void => {
    calls.push(`${name} ${event}`);
    act();
  };
  return { onConnectionClose: called('close'), onConnectionTimeout: called('timeout') };
}

describe.each(['close', 'timeout'])('a %s event', (event) => {
  it('calls no listener that an earlier listener removed', () => {
    const socket = new Socket();
    const calls: string[] = [];
    const second: ConnectionListener = listenerOf(calls, 'second');
    const first = listenerOf(calls, 'first', () => leaveConnection(socket, second));
    const third = listenerOf(calls, 'third');
    for (const listener of [first, second, third]) listenToConnection(socket, listener);
    expect(socket.listenerCount(event)).toBe(new Socket().listenerCount(event) + 1);
    socket.emit(event);
    expect(calls).toEqual([`first ${event}`, `third ${event}`]);
  });

  it('has no listener of ours on the socket after the last one was removed', () => {
    const socket = new Socket();
    const before = socket.listenerCount(event);
    const listeners = [listenerOf([], 'first'), listenerOf([], 'second')];
    for (const listener of listeners) listenToConnection(socket, listener);
    for (const listener of listeners) leaveConnection(socket, listener);
    expect(socket.listenerCount(event)).toBe(before);
    for (const listener of listeners) leaveConnection(socket, listener);
  });
});
