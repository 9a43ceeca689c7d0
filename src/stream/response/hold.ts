/**
 * Holds one response: from a terminal frame on, what is written to it is not sent until its message is safe. The response itself
 * is Node's own and works as usual; see `connection-output.ts`.
 */
import type { Outcome } from '../../core/message.ts';
import { type ConnectionOutput, outputOf } from './connection-output.ts';
import { type Exchange, outputTargetOf, type Response } from './exchange.ts';
import { shadowMethods } from './shadow-property.ts';

/** Outcomes after which written bytes are held: those that a client takes for the end of an answer. */
export const HELD: ReadonlySet<Outcome> = new Set(['completed', 'truncated', 'failed']);

/** The hold of one response. A class, because there is one for each live stream. */
export class ResponseHold {
  active = false;
  /** Nothing was written since it began. */
  empty = true;
  /** The end is or was held, and a bare response would be over by now. */
  isLate = false;
  readonly #exchange: Exchange;
  #output: ConnectionOutput | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  /** Starts holding; what was written before is sent as without a hold. */
  begin(): void {
    if (this.active) return;
    this.active = true;
    this.empty = true;
    const { res, h2 } = this.#exchange;
    if (h2 === undefined) passOnChunks(res);
    if (h2 === undefined && res.socket === null) this.#holdWhenAssigned();
    else this.#hold(outputTargetOf(this.#exchange));
  }

  /** Node's own `write` or `end` was called. */
  wrote(): void {
    this.empty = false;
  }

  /**
   * The handler ended: a bare response has finished when the ticks that its end queued have run. Compression, however, writes to
   * Node's response and ends it later.
   */
  ended(): void {
    process.nextTick(() => {
      const { res, h2 } = this.#exchange;
      this.isLate = this.active && res.writableEnded;
      if (!this.isLate || h2 !== undefined) return;
      // `writeContinue()` and its like write past the response; a bare one has left its connection by now.
      shadowMethods(res, { _writeRaw: () => true });
    });
  }

  /** The handler destroys its response: the destroy waits until held bytes are sent. */
  handlerDestroys(error: unknown): void {
    this.#output?.handlerDestroys(error);
  }

  /** Sends everything that was held, in order. */
  release(): void {
    this.#end()?.release();
  }

  /** The client has left or is about to be disconnected: held bytes are discarded. */
  drop(): void {
    this.#end()?.drop();
  }

  #end(): ConnectionOutput | undefined {
    const output = this.#output;
    this.active = false;
    // An HTTP/2 stream that is released is closed, or about to be, and Node answers further calls.
    if (this.#exchange.h2 !== undefined) this.isLate = false;
    this.#output = undefined;
    return output;
  }

  #hold(target: Parameters<typeof outputOf>[0], passing?: number): void {
    this.#output = outputOf(target);
    this.#output.hold(passing);
  }

  /** The response is queued behind another one: it is assigned its socket when that one is over. */
  #holdWhenAssigned(): void {
    const { res } = this.#exchange;
    const passing = res.writableLength;
    res.assignSocket = (socket) => {
      Reflect.deleteProperty(res, 'assignSocket');
      if (this.active) this.#hold(socket, passing);
      res.assignSocket(socket);
    };
  }
}

/**
 * Node 24.22 and 26 keep the writes of a tick, or of a cork, in the response. Writes from before the hold are passed to the queue of
 * the socket, which stays corked as it was.
 */
function passOnChunks(res: Response): void {
  const { socket, writableCorked } = res;
  if (writableCorked === 0) return;
  socket?.cork();
  for (let count = 0; count < writableCorked; count += 1) res.uncork();
  for (let count = 0; count < writableCorked; count += 1) res.cork();
  socket?.uncork();
}
