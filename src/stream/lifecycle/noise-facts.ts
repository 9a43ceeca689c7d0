/** The facts of a stream that decide whether an error is noise: who left, when, and the errors of its own connection. */
import { Readable } from 'node:stream';
import type { CurrentStream, Departure, StreamFacts } from '../../core/current-stream.ts';
import type { Noise } from '../../core/observer.ts';
import type { Exchange } from '../response/exchange.ts';
import type { Stream } from './stream.ts';
import { brokenByPeer } from '../client/close-verdict.ts';

/** The facts of one stream by which an error is classified as noise or not. */
export class CancellationContext implements CurrentStream {
  readonly #stream: Stream;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  get id(): string {
    return this.#stream.id;
  }

  facts(): StreamFacts {
    const { exchange, stopSignal } = this.#stream;
    const { socket, h2 } = exchange;
    const { departed, reason } = stopSignal;
    // A time-out is a failure, whatever happens to the stream after it.
    const failed = this.#stream.terminal?.outcome === 'timed-out';
    return {
      departure: failed ? undefined : (departed?.how ?? this.#leaving()),
      departedAt: departed?.at,
      closed: h2 === undefined ? socket.destroyed || socket.readableEnded : h2.destroyed,
      abortReason: reason,
      ownErrors: [erroredOf(exchange.req), socket.errored, h2?.errored].filter(Boolean),
    };
  }

  onNoise(noise: Noise): void {
    this.#stream.environment.observer.onNoise(this.#stream, noise);
  }

  /**
   * The client is leaving now: Node passes errors to the request, the parser and pending writes before the response closes, and
   * the close verdict comes only at the close.
   */
  #leaving(): Departure | undefined {
    const { phase, exchange, resetHere } = this.#stream;
    if (phase.isOver || phase.kind === 'other' || exchange.res.errored) return undefined;
    return isLeaving(exchange, resetHere) ? 'client' : undefined;
  }
}

function isLeaving({ socket, h2 }: Exchange, resetHere: boolean): boolean {
  if (h2 !== undefined) return !resetHere && (h2.aborted || (h2.rstCode ?? 0) !== 0);
  // A client that has only ended its sending side is still there, if the server allows half-open connections.
  const { server } = socket as typeof socket & { server?: { httpAllowHalfOpen?: boolean } };
  return brokenByPeer(socket) || (socket.readableEnded && server?.httpAllowHalfOpen !== true);
}

/** The real error, not the one that a detached request shows its handler. */
function erroredOf(stream: Readable): unknown {
  return Reflect.get(Readable.prototype, 'errored', stream);
}
