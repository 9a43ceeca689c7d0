/**
 * The client's side, on plain sockets: what the client costs is not measured, but the less it does the less it is in
 * the way.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** What ends a chunked body. No frame of the bench ends like this. */
const LAST = Buffer.from('0\r\n\r\n');

/** A connection that is kept for one answer after the other. */
export interface Connection {
  /**
   * Reads an answer to its end; rejects unless it is a 200. `onData` sees every piece as it arrives; `accept` is the
   * header of that name.
   */
  read(path: string, onData?: (data: Buffer) => void, accept?: string): Promise<void>;
  close(): void;
}

/** Connects to a server on this machine. */
export async function connectTo(port: number): Promise<Connection> {
  const socket = await openSocket(port);
  let answer: Answer | undefined;
  socket.on('data', (data: Buffer) => {
    if (answer === undefined) return;
    answer.onData?.(data);
    if (answer.tail.length === 0 && !data.toString('latin1', 0, 12).endsWith(' 200')) {
      answer.reject(new Error(`answered with ${data.toString('latin1', 0, 200)}`));
    }
    answer.tail =
      data.length >= LAST.length
        ? data.subarray(-LAST.length)
        : Buffer.concat([answer.tail, data]).subarray(-LAST.length);
    if (answer.tail.equals(LAST)) answer.resolve();
  });
  const lost = (): void => answer?.reject(new Error('the server closed the connection'));
  socket.on('close', lost).on('error', lost);
  return {
    read: (path, onData, accept) =>
      new Promise<void>((resolve, reject) => {
        answer = { onData, resolve, reject, tail: Buffer.alloc(0) };
        socket.write(request(path, accept));
      }).finally(() => {
        answer = undefined;
      }),
    close: () => void socket.destroy(),
  };
}

interface Answer {
  readonly onData: ((data: Buffer) => void) | undefined;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
  tail: Buffer;
}

/** Reads one answer on a connection of its own. */
export async function readOnce(
  port: number,
  path: string,
  onData?: (data: Buffer) => void,
): Promise<void> {
  const connection = await connectTo(port);
  await connection.read(path, onData);
  connection.close();
}

/** Opens a stream and returns when its first bytes are there; it flows. */
export async function openStream(port: number, path: string): Promise<Socket> {
  const socket = await openSocket(port);
  socket.write(request(path));
  await once(socket, 'data');
  return socket;
}

/** Work that is done `count` times, so many at a time. */
export async function atATime(
  limit: number,
  count: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  const next = Array(count).keys();
  const worker = async (): Promise<void> => {
    // All workers share the one iterator: each takes the next that nobody has.
    for (const index of next) await work(index);
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, worker));
}

async function openSocket(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

function request(path: string, accept = '*/*'): string {
  return `GET ${path} HTTP/1.1\r\nHost: bench\r\nAccept: ${accept}\r\n\r\n`;
}
