/**
 * A socket without a network: what a `ServerResponse` writes to it becomes the body of a `Response`, with the backpressure of its reader.
 * For the stream core it behaves like the socket of a client: it accepts bytes, stops accepting them, or closes.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Bytes that may wait for the reader: the high-water mark of a socket of Node. */
const HIGH_WATER_MARK = 16 * 1024;

const END_OF_HEAD = '\r\n\r\n';

/**
 * Creates the socket. `socket` is for `ServerResponse.assignSocket`; `body` contains everything that is written after the head of the
 * response, and errors when the socket is destroyed before its end. `leave()`, or cancelling `body`, has the effect of a client that closes
 * its connection.
 */
export function createBodySocket() {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let goOn: (() => void) | undefined;
  const afterHead = headCutter();
  let bytesWritten = 0;
  let ended = false;

  const duplex = new Duplex({
    highWaterMark: HIGH_WATER_MARK,
    read() {
      // A client sends nothing after its request.
    },
    write(piece: Buffer, _encoding, done) {
      bytesWritten += piece.length;
      const bytes = afterHead(piece);
      if (bytes.length > 0) controller?.enqueue(bytes);
      if ((controller?.desiredSize ?? 1) > 0) done();
      else goOn = done;
    },
    final(done) {
      ended = true;
      controller?.close();
      done();
    },
    destroy(error, done) {
      if (!ended) controller?.error(error ?? new Error('the response was cut off'));
      controller = undefined;
      done(error);
    },
  });
  const leave = (): void => {
    if (ended || duplex.destroyed) return;
    // Like a connection that its client closed: the end comes before the close, which shows that the client closed it.
    controller = undefined;
    duplex.once('end', () => duplex.destroy());
    duplex.push(null);
    duplex.resume();
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start: (made) => {
        controller = made;
      },
      pull: () => {
        goOn?.();
        goOn = undefined;
      },
      cancel: leave,
    },
    new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER_MARK }),
  );
  Object.defineProperty(duplex, 'bytesWritten', { get: () => bytesWritten });
  // A response calls `setTimeout` of its socket; this socket has no time-out.
  Object.defineProperty(duplex, 'setTimeout', { value: () => duplex, configurable: true });
  duplex.on('error', () => {
    // The error is reported through `body` to its reader.
  });
  // It has every member of `Socket` that a response and its guard use.
  return { socket: duplex as unknown as Socket, body, leave };
}

/** Returns a function that takes the pieces of a response in order and returns of each the bytes that belong to the body. */
function headCutter(): (piece: Buffer) => Buffer {
  let head: Buffer | undefined = Buffer.alloc(0);
  return (piece) => {
    if (head === undefined) return piece;
    head = Buffer.concat([head, piece]);
    const end = head.indexOf(END_OF_HEAD);
    if (end < 0) return Buffer.alloc(0);
    const rest = head.subarray(end + END_OF_HEAD.length);
    head = undefined;
    return rest;
  };
}
