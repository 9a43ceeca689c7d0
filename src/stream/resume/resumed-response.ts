/**
 * One resumed response: the head of the original, its bytes from the offset on as fast as the client takes them, and the same
 * end. The head leaves when it is certain that the offset is not beyond the body.
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

/** A client may have bytes that the engine is told of a moment later, or never: for so long they are waited for. */
const BEYOND_MAX_MS = 10_000;

/** A response that is a stream's from some offset on. */
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
    // A client that resets its connection is no error of anybody's.
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
    else this.#cut();
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

  /** The end of a stream that was broken off: what is on its way is sent, the regular end is not. */
  #cut(): void {
    const res = this.#res;
    const exchange = exchangeOf(res.req, res);
    const { h2, hasConnection } = exchange;
    // Over HTTP/2 other streams have the same connection, and the client may be slow to take what it is sent.
    const close = (): void => void (h2 === undefined ? res.destroy() : h2.close(H2_INTERNAL_ERROR));
    if (hasConnection) outputOf(outputTargetOf(exchange)).closeBehind(close);
    else res.destroy();
  }
}

/** Of a body that the app encoded itself it says so: who counts decoded bytes must not go on from there. */
function offsetHeader({ headers }: ResumableHead, offset: number): string {
  const [, coding] = headers.find(([name]) => name === 'content-encoding') ?? [];
  return coding === undefined ? String(offset) : `${offset}; coding=${coding}`;
}
