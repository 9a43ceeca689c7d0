/**
 * A TCP proxy in front of a real database, for faults of the network: connections that are cut, answers that are lost, and packets that do
 * not arrive.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A proxy on 127.0.0.1. It passes all data on until a fault is set. */
export interface TcpProxy {
  readonly port: number;
  /** Connections that were accepted so far. */
  readonly accepted: number;
  /** Bytes that clients have sent so far. */
  readonly sentBytes: number;
  /** Closes all connections, those of clients by RST (default) or by FIN. New ones are accepted. */
  cut(how?: 'rst' | 'fin'): void;
  /** Passes nothing on in either direction, on old and new connections; closes nothing. */
  pause(): void;
  /** From now on drops what the server sends, and passes on what clients send. */
  loseAnswers(): void;
  /** Passes all data on again; data that was paused arrives, data that was dropped does not. */
  resume(): void;
  close(): Promise<void>;
}

/** Starts a proxy to `port`. */
export async function startTcpProxy(port: number, host = '127.0.0.1'): Promise<TcpProxy> {
  const pairs = new Set<readonly [Socket, Socket]>();
  let mode: 'through' | 'paused' | 'deaf' = 'through';
  let accepted = 0;
  let sentBytes = 0;

  const server = createServer((client) => {
    accepted += 1;
    const upstream = connect(port, host);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    const end = (): void => {
      pairs.delete(pair);
      client.destroy();
      upstream.destroy();
    };
    for (const socket of pair) {
      socket.setNoDelay(true);
      // An error or close of one side closes the other side.
      socket.on('error', end).on('close', end);
      if (mode === 'paused') socket.pause();
    }
    client.on('data', (data) => {
      sentBytes += data.length;
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (mode !== 'deaf') client.write(data);
    });
    if (mode === 'paused') setImmediate(() => pair.forEach((socket) => socket.pause()));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');

  const cut = (how: 'rst' | 'fin' = 'rst'): void => {
    for (const [client, upstream] of pairs) {
      if (how === 'rst') client.resetAndDestroy();
      else client.destroy();
      upstream.destroy();
    }
    pairs.clear();
  };
  return {
    port: address.port,
    get accepted() {
      return accepted;
    },
    get sentBytes() {
      return sentBytes;
    },
    cut,
    pause() {
      mode = 'paused';
      for (const pair of pairs) for (const socket of pair) socket.pause();
    },
    loseAnswers() {
      mode = 'deaf';
    },
    resume() {
      mode = 'through';
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
