/**
 * The payloads of a stream in order, as they are stored. Most are never read, so a frame that was recognised by its template is parsed only
 * when its payload is read; many of them are parsed in slices.
 */
import { framesIn, isFrame } from './frames.ts';
import type { Framed } from './framing.ts';

export class Payloads {
  /** Each is a parsed payload, its text on the wire where it is not JSON, or the frame that is still to be parsed. */
  readonly #all: unknown[];
  /** Number of payloads, from the first on, that are parsed. */
  #parsed = 0;
  /** Each frame so far had one payload. */
  #isEven = true;

  constructor(all: unknown[] = []) {
    this.#all = all;
  }

  get count(): number {
    return this.#all.length;
  }

  /** An independent copy. */
  copy(): Payloads {
    return new Payloads([...this.#all]);
  }

  /** Adds a payload that is parsed, or that cannot be parsed. */
  add(payload: unknown): void {
    this.#all.push(payload);
  }

  /** Adds the single payload of a frame that is not parsed yet. */
  addUnparsed(piece: string): void {
    this.#all.push(new Unparsed(piece));
  }

  /** Parses up to `most` unparsed payloads; true when none is left. */
  parse(framing: Framed, most: number): boolean {
    for (let left = most; this.#parsed < this.#all.length; this.#parsed += 1) {
      const payload = this.#all[this.#parsed];
      if (!(payload instanceof Unparsed)) continue;
      if (left === 0) return false;
      const parsed = payload.parse(framing);
      if (parsed.length === 1) [this.#all[this.#parsed]] = parsed;
      else this.#isEven = false;
      left -= 1;
    }
    return true;
  }

  /** The first `count` payloads, parsed. */
  first(framing: Framed, count: number): readonly unknown[] {
    if (this.#isEven && count <= this.#parsed) return this.#all.slice(0, count);
    return this.#all
      .slice(0, count)
      .flatMap((payload) => (payload instanceof Unparsed ? payload.parse(framing) : [payload]));
  }
}

/** A frame that is not parsed yet. A class, so that it can be distinguished from objects that apps send. */
class Unparsed {
  readonly #piece: string;
  #payloads: readonly unknown[] | undefined;

  constructor(piece: string) {
    this.#piece = piece;
  }

  parse(framing: Framed): readonly unknown[] {
    this.#payloads ??= framesIn(framing, this.#piece)
      .filter(isFrame)
      .map(({ json }) => json);
    return this.#payloads;
  }
}
