/**
 * A socket without a network: what a `ServerResponse` writes to it becomes the body of a `Response`, with the backpressure of its reader.
 * For the stream core it behaves like the socket of a client: it accepts bytes, stops accepting them, or closes.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

/** Bytes that may wait for the reader: as many as Node lets a socket hold before it says stop. */
const HIGH_WATER_MARK = 16 * 1024;

const END_OF_HEAD = '\r\n\r\n';

/**
 * Makes one: `socket` for `ServerResponse.assignSocket`, and `body`, everything written after the head of the response, which errors
 * when the socket is destroyed before its end. After `leave()`, or once `body` is cancelled, the client is gone.
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
      // A client has nothing more to say after its request.
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
    // As a connection that its client closed: the end first, which is how the two sides are told apart.
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
  // What a response does to its socket beside writing: it never has a time-out of its own.
  Object.defineProperty(duplex, 'setTimeout', { value: () => duplex, configurable: true });
  duplex.on('error', () => {
    // It is told through `body`, whose reader is the one who can do something about it.
  });
  // A `Socket` in everything that a response and its guard use of one.
  return { socket: duplex as unknown as Socket, body, leave };
}

/** What takes the pieces of a response one by one, and gives of each the bytes that belong to its body. */
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
