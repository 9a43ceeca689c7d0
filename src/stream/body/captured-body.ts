/**
 * What a captured body says, once for the process that wrote it and for one that finds it in a journal: read piece by piece as
 * far as it is new, in slices where that is much, and never with an exception.
 */
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Piece } from '../../core/save-port.ts';
import {
  BodyReader,
  type BodyReading,
  decodeAtOnce,
  decodeBody,
  type DecodedBody,
  type Format,
  type FrameTemplate,
  isEncoded,
} from '../../formats/index.ts';

/** What is new and larger than this is read in slices. */
const MAX_AT_ONCE_BYTES = 262_144;
/**
 * A piece is read in parts of so many characters, and the clock looked at behind each: at most 512 frames (`0` and a line
 * end), some 4 ms where each is parsed. Looking costs 0.1 us.
 */
const PART_CHARS = 1_024;
/** A slice is over behind the part in which it has taken so long. */
const SLICE_MS = 4;

/** A body, and what is known of it. */
export interface BodySource {
  readonly pieces: readonly Piece[];
  /** The pieces from here to before `alikeTo` are frames that fit the template. */
  readonly alikeFrom?: number;
  readonly alikeTo?: number;
}

/** How a body is read. */
export interface CapturedBodyOptions {
  readonly format: Format | 'auto';
  readonly contentType: string;
  readonly contentEncoding: string;
  /** Of a decoded body. */
  readonly maxBytes: number;
  readonly template: () => FrameTemplate | undefined;
  readonly onFormatError: (error: unknown) => void;
}

/** Reads one body as it grows. */
export class CapturedBody {
  /** Bytes of an encoded body that could not be decoded, or were too many. */
  dropped = 0;
  /** A format threw where nothing may: the body was taken for text, and nobody knows whether it is whole. */
  isBroken = false;
  readonly #source: BodySource;
  readonly #options: CapturedBodyOptions;
  #reader: BodyReader | undefined;
  #fed = 0;
  #last: BodyReading | undefined;
  /** Readings in slices that are not over, and the last of them. */
  #slicing = 0;
  #sliced: Promise<unknown> = Promise.resolve();
  #decoded: { readonly pieces: number; readonly body: DecodedBody } | undefined;

  constructor(source: BodySource, options: CapturedBodyOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** Whether so much is new that it has to be read in slices. */
  get isBehind(): boolean {
    if (this.#slicing > 0) return true;
    return this.#isBytes
      ? this.#decodedNow() === undefined
      : this.#unreadChars() > MAX_AT_ONCE_BYTES;
  }

  /** What it says now; what it said before, where it is behind. */
  read(): BodyReading {
    if (this.#last !== undefined && (this.#isUpToDate || this.isBehind)) return this.#last;
    return this.#guarded(() => {
      if (this.isBehind) return this.#begin().result();
      const { pieces } = this.#source;
      this.#last = this.#isBytes ? this.#readDecoded() : this.#readOn(pieces.length);
      return this.#last;
    });
  }

  /** The same, in slices of a few milliseconds; of what is there when it is called. */
  async readInSlices(): Promise<BodyReading> {
    if (!this.isBehind) return this.read();
    // One after the other: what is half read must not be read on.
    this.#slicing += 1;
    const end = this.#source.pieces.length;
    const reading = this.#sliced.then(() => this.#readAll(end));
    this.#sliced = reading;
    return reading;
  }

  async #readAll(end: number): Promise<BodyReading> {
    const { pieces } = this.#source;
    try {
      if (this.#isBytes) {
        const { contentEncoding, maxBytes } = this.#options;
        const body = await decodeBody(pieces.slice(0, end), contentEncoding, maxBytes);
        this.#decoded = { pieces: end, body };
        this.#last = await this.#readDecodedInSlices(body);
        this.#fed = end;
      } else await this.#readOnInSlices(end);
    } catch (error) {
      this.#break(error);
    }
    this.#slicing -= 1;
    return this.#last ?? this.read();
  }

  /** Bytes are kept of a body that is encoded, or that turned out to be no text. */
  get #isBytes(): boolean {
    const { contentEncoding } = this.#options;
    return isEncoded(contentEncoding) || typeof this.#source.pieces[0] === 'object';
  }

  get #isUpToDate(): boolean {
    return this.#fed === this.#source.pieces.length;
  }

  #unreadChars(): number {
    const { pieces } = this.#source;
    let chars = 0;
    for (let at = this.#fed; at < pieces.length && chars <= MAX_AT_ONCE_BYTES; at += 1) {
      chars += pieces[at]?.length ?? 0;
    }
    return chars;
  }

  #begin(): BodyReader {
    const { format, contentType, onFormatError, template } = this.#options;
    return new BodyReader(format, contentType, onFormatError, template());
  }

  #readOn(end: number): BodyReading {
    const { pieces, alikeFrom = 0, alikeTo = 0 } = this.#source;
    const reader = (this.#reader ??= this.#begin());
    for (; this.#fed < end; this.#fed += 1) {
      const at = this.#fed;
      reader.feed(String(pieces[at]), at >= alikeFrom && at < alikeTo);
    }
    return reader.result();
  }

  async #readOnInSlices(end: number): Promise<void> {
    const { pieces, alikeFrom = 0, alikeTo = 0 } = this.#source;
    const reader = (this.#reader ??= this.#begin());
    const slices = new Slices();
    while (this.#fed < end) {
      const at = this.#fed;
      const piece = String(pieces[at]);
      this.#fed += 1;
      // One that fits the template is one frame.
      const fits = at >= alikeFrom && at < alikeTo;
      if (fits || piece.length <= PART_CHARS) reader.feed(piece, fits);
      else await feedInSlices(reader, piece, slices);
      await slices.turn();
    }
    this.#last = reader.result();
  }

  #decodedNow(): DecodedBody | undefined {
    const { pieces } = this.#source;
    if (this.#decoded?.pieces === pieces.length) return this.#decoded.body;
    const { contentEncoding, maxBytes } = this.#options;
    const body = decodeAtOnce(pieces, contentEncoding, maxBytes);
    if (body !== undefined) this.#decoded = { pieces: pieces.length, body };
    return body;
  }

  #readDecoded(): BodyReading {
    const body = this.#decodedNow() ?? { text: '', dropped: 0, undecodable: undefined };
    const reader = this.#begin();
    reader.feed(body.text);
    this.#fed = this.#source.pieces.length;
    return this.#finishDecoded(reader, body);
  }

  async #readDecodedInSlices(body: DecodedBody): Promise<BodyReading> {
    const reader = this.#begin();
    await feedInSlices(reader, body.text, new Slices());
    return this.#finishDecoded(reader, body);
  }

  /** Bytes that nobody could decode are an answer that nobody could read, not an empty one. */
  #finishDecoded(reader: BodyReader, { dropped, undecodable }: DecodedBody): BodyReading {
    this.dropped = dropped;
    const result = reader.result();
    if (undecodable === undefined) return result;
    const events = [{ base64: Buffer.from(undecodable).toString('base64') }];
    return { ...result, events, empty: false, unknownText: true };
  }

  #guarded(read: () => BodyReading): BodyReading {
    if (this.isBroken) return this.#asText();
    try {
      return read();
    } catch (error) {
      return this.#break(error);
    }
  }

  #break(error: unknown): BodyReading {
    this.isBroken = true;
    this.#options.onFormatError(error);
    return this.#asText();
  }

  #asText(): BodyReading {
    const { pieces } = this.#source;
    const text = pieces.map((piece) => (typeof piece === 'string' ? piece : '')).join('');
    this.#fed = pieces.length;
    this.#last = { ...NOTHING_READ, text, empty: text === '' && pieces.length === 0 };
    return this.#last;
  }
}

const NOTHING_READ: BodyReading = {
  format: 'text',
  finishMarker: 'none',
  text: '',
  events: [],
  empty: true,
  finished: false,
  errorFrame: false,
  unknownText: false,
  toolCalls: false,
  wordless: false,
  finishReason: undefined,
};

/** Lets others run when a slice is over. */
class Slices {
  #since = performance.now();

  async turn(): Promise<void> {
    if (performance.now() - this.#since < SLICE_MS) return;
    await nextTurn();
    this.#since = performance.now();
  }
}

async function feedInSlices(reader: BodyReader, text: string, slices: Slices): Promise<void> {
  for (let at = 0; at < text.length; at += PART_CHARS) {
    reader.feed(text.slice(at, at + PART_CHARS));
    await slices.turn();
  }
}
