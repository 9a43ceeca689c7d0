/**
 * One resumed response: the head of the original, its bytes from the offset on as fast as the client reads them, and the same
 * end. The head is sent when it is certain that the offset is not beyond the body.
 */
import type { RelayInstance } from '../../relay/instance.ts';
import type { ReaderHandle, ReaderSink } from '../../relay/readers.ts';
import type { ResumableHead } from '../../relay/source.ts';
import { outputOf } from '../response/connection-output.ts';
import {
  exchangeOf,
  H2_INTERNAL_ERROR,
  outputTargetOf,
  type Response,
} from '../response/exchange.ts';

/** A client may have bytes that reach the engine later, or never: the route waits this long for them. */
const BEYOND_MAX_MS = 10_000;

/** A response that carries a stream from an offset on. */
export class ResumedResponse implements ReaderSink {
  readonly #res: Response;
  readonly #head: ResumableHead;
  readonly #offset: number;
  readonly #onBeyond: () => void;
  /** The byte before the offset is read too: it shows that the offset is not beyond the body. */
  #skip: number;
  #reader: ReaderHandle | undefined;
  #beyond: NodeJS.Timeout | undefined;

  constructor(res: Response, head: ResumableHead, offset: number, onBeyond: () => void) {
    this.#res = res;
    this.#head = head;
    this.#offset = offset;
    this.#skip = offset > 0 ? 1 : 0;
    this.#onBeyond = onBeyond;
  }

  /** Begins to read. */
  follow(relay: RelayInstance, streamId: string): void {
    const res = this.#res;
    const reader = relay.follow({ streamId, offset: this.#offset - this.#skip }, this);
    this.#reader = reader;
    res.on('close', () => {
      clearTimeout(this.#beyond);
      reader.stop();
    });
    res.on('drain', () => reader.wake());
    // A client that resets its connection is not an error of this process.
    res.on('error', () => reader.stop());
    if (this.#skip === 0) this.#sendHead();
    else this.#beyond = setTimeout(() => this.#refuse(), BEYOND_MAX_MS);
  }

  write(body: Uint8Array): boolean {
    if (this.#res.destroyed) return false;
    this.#sendHead();
    const bytes = body.subarray(this.#skip);
    this.#skip = 0;
    return bytes.length === 0 || this.#res.write(bytes);
  }

  end(isTidy: boolean): void {
    const res = this.#res;
    if (res.destroyed) return;
    if (!res.headersSent) this.#refuse();
    else if (isTidy) res.end();
    else breakOff(res);
  }

  #sendHead(): void {
    const res = this.#res;
    if (res.headersSent) return;
    clearTimeout(this.#beyond);
    res.statusCode = this.#head.status;
    for (const [name, value] of this.#head.headers) res.setHeader(name, value);
    res.setHeader('Cache-Control', 'no-store');
    res.setHeader('X-Stream-Offset', offsetHeader(this.#head, this.#offset));
    res.flushHeaders();
  }

  #refuse(): void {
    clearTimeout(this.#beyond);
    this.#reader?.stop();
    if (!this.#res.headersSent) this.#onBeyond();
  }
}

/** The end of a response that breaks off: bytes that were written are sent, the regular end is not. */
export function breakOff(res: Response): void {
  const exchange = exchangeOf(res.req, res);
  const { h2, hasConnection } = exchange;
  // Over HTTP/2 other streams share the connection, and the client may be slow to read.
  const close = (): void => void (h2 === undefined ? res.destroy() : h2.close(H2_INTERNAL_ERROR));
  if (hasConnection) outputOf(outputTargetOf(exchange)).closeBehind(close);
  else res.destroy();
}

/** Names the coding of a body that the app encoded itself: a client that counts decoded bytes must not resume from this offset. */
function offsetHeader({ headers }: ResumableHead, offset: number): string {
  const [, coding] = headers.find(([name]) => name === 'content-encoding') ?? [];
  return coding === undefined ? String(offset) : `${offset}; coding=${coding}`;
}
