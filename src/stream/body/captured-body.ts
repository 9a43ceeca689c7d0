/**
 * What a captured body says, once for the process that wrote it and for one that finds it in a journal: read piece by piece as
 * far as it is new, in slices where that is much, and never with an exception.
 */
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
import { feedInSlices, PART_CHARS, partsOf, Slice } from './slices.ts';
import type { StoredBeginning } from './live-bytes.ts';
import { bytesOfPieces } from './pieces.ts';
import { charsetOf, mediaType } from '../response/is-stream.ts';

/**
 * What is new and larger than this is read in slices; so is what turns out to take longer than one. Not so a few characters, 2,000
 * tiny frames at most: a busy machine would make slices of every answer.
 */
const MAX_AT_ONCE_CHARS = 262_144;
const FEW_CHARS = 16_384;
/** Payloads that are parsed between two looks at the clock, where they are asked for. */
const PAYLOADS_A_PART = 128;

/** A body, and what is known of it. */
export interface BodySource {
  /** In front of the pieces. */
  readonly stored?: StoredBeginning | undefined;
  readonly pieces: readonly Piece[];
  /** The pieces from here to before `alikeTo` are frames that fit the template. */
  readonly alikeFrom?: number;
  readonly alikeTo?: number;
  /** What is there now is about to be read, and must not be changed from now on. */
  noteReading?(): void;
}

/** How a body is read. */
export interface CapturedBodyOptions {
  readonly format: Format | 'auto';
  /** With the charset of its bytes, if that is not UTF-8. */
  readonly contentType: string;
  readonly contentEncoding: string;
  /** Of a decoded body. */
  readonly maxBytes: number;
  readonly template: () => FrameTemplate | undefined;
  readonly onFormatError: (error: unknown) => void;
  /** Whether the events of what it says will be asked for. */
  readonly keepsEvents: (reading: BodyReading) => boolean;
}

/** Reads one body as it grows. */
export class CapturedBody {
  /** Bytes of an encoded body that could not be decoded, or were too many; bytes that the disk did not give back. */
  dropped = 0;
  /** A format threw an error: the body was read as plain text, and whether it is complete is unknown. */
  isBroken = false;
  readonly #source: BodySource;
  readonly #options: CapturedBodyOptions;
  /** The beginning that is on disk only was read. */
  #isBeginningRead = false;
  /** Bytes that the disk did not give back, and those behind them, which are not read: the text would have a hole. */
  #missing = 0;
  #reader: BodyReader | undefined;
  /** Pieces that were read. */
  #fed = 0;
  /** Characters of the next one that were read. */
  #fedChars = 0;
  /** With so many pieces it took longer than a slice. */
  #slowAt: number | undefined;
  #last: BodyReading | undefined;
  /** Readings in slices that are not over, and the last of them. */
  #slicing = 0;
  #sliced: Promise<unknown> = Promise.resolve();
  #decoded: { readonly pieces: number; readonly body: DecodedBody } | undefined;

  constructor(source: BodySource, options: CapturedBodyOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** What it says now, if that is read within one slice; else it has to be read in slices. */
  readAtOnce(): BodyReading | undefined {
    const { length } = this.#source.pieces;
    if (this.#slicing > 0 || this.#slowAt === length || this.#lacksBeginning) return undefined;
    if (this.#last !== undefined && this.#isUpToDate) return this.#last;
    this.#source.noteReading?.();
    return this.#guarded(() => {
      this.#last = (this.#isBytes ? this.#readDecoded() : this.#readOn(length)) ?? this.#last;
      if (this.#isUpToDate) return this.#last;
      this.#slowAt = length;
      return undefined;
    });
  }

  /** What it says now; what it said before, where it has to be read in slices. */
  read(): BodyReading {
    return this.readAtOnce() ?? this.#last ?? this.#begin().result();
  }

  /** The same, in slices of a few milliseconds; of what is there when it is called. */
  async readInSlices(): Promise<BodyReading> {
    const atOnce = this.readAtOnce();
    if (atOnce !== undefined) return atOnce;
    // One after the other: what is half read must not be read on.
    this.#slicing += 1;
    this.#source.noteReading?.();
    const end = this.#source.pieces.length;
    const reading = this.#sliced.then(() => this.#readAll(end));
    this.#sliced = reading;
    return reading;
  }

  async #readAll(end: number): Promise<BodyReading> {
    const { stored } = this.#source;
    try {
      // What was read at once may have taken a slice.
      await nextTurn();
      const isNeeded = this.#isBytes || this.#lacksBeginning;
      if (stored === undefined || !isNeeded) await this.#readFrom([], end);
      else await stored.readBack((beginning) => this.#readFrom(beginning, end));
    } catch (error) {
      this.#break(error);
    }
    this.#slicing -= 1;
    this.#slowAt = undefined;
    return this.#last ?? this.read();
  }

  async #readFrom(beginning: readonly Piece[], end: number): Promise<void> {
    const { pieces, stored } = this.#source;
    if (stored !== undefined && this.#lacksBeginning) {
      this.#isBeginningRead = true;
      const lack = stored.bytes - bytesOfPieces(beginning);
      if (lack > 0) this.#missing = lack + bytesOfPieces(pieces);
    }
    if (this.#isBytes) {
      const rest = this.#missing > 0 ? [] : pieces.slice(0, end);
      const { contentType, contentEncoding, maxBytes } = this.#options;
      const charset = charsetOf(contentType);
      const body = await decodeBody([...beginning, ...rest], contentEncoding, maxBytes, charset);
      this.#decoded = { pieces: end, body };
      this.#last = await this.#readDecodedInSlices(body);
      this.#fed = end;
    } else this.#last = await this.#readOnInSlices(beginning, end);
  }

  get #lacksBeginning(): boolean {
    return this.#source.stored !== undefined && !this.#isBeginningRead;
  }

  /** Bytes are kept of a body that is encoded, or that turned out to be no text. */
  get #isBytes(): boolean {
    const { stored, pieces } = this.#source;
    if (stored?.isBytes === true) return true;
    return isEncoded(this.#options.contentEncoding) || typeof pieces[0] === 'object';
  }

  get #isUpToDate(): boolean {
    return this.#fed === this.#source.pieces.length;
  }

  #unreadChars(): number {
    const { pieces } = this.#source;
    let chars = -this.#fedChars;
    for (let at = this.#fed; at < pieces.length && chars <= MAX_AT_ONCE_CHARS; at += 1) {
      chars += pieces[at]?.length ?? 0;
    }
    return chars;
  }

  #begin(): BodyReader {
    const { format, contentType, onFormatError, template } = this.#options;
    return new BodyReader(format, mediaType(contentType), onFormatError, template());
  }

  /** As far as one slice goes. */
  #readOn(end: number): BodyReading | undefined {
    const unread = this.#unreadChars();
    if (unread > MAX_AT_ONCE_CHARS) return undefined;
    const reader = (this.#reader ??= this.#begin());
    if (this.#missing > 0) this.#fed = end;
    const slice = new Slice();
    while (this.#fed < end) {
      const chars = this.#feedNext(reader);
      const isOver = unread > FEW_CHARS && slice.isOverAfter(chars);
      if (isOver && this.#fed < end) return undefined;
    }
    return reader.result();
  }

  async #readOnInSlices(beginning: readonly Piece[], end: number): Promise<BodyReading> {
    const reader = (this.#reader ??= this.#begin());
    const slice = new Slice();
    for (const piece of beginning) await feedInSlices(reader, String(piece), slice);
    this.dropped = this.#missing;
    if (this.#missing > 0) this.#fed = end;
    while (this.#fed < end) {
      if (slice.isOverAfter(this.#feedNext(reader))) await slice.next();
    }
    return this.#resultInSlices(reader, slice);
  }

  /** Reads the next piece, or a part of it; returns how many characters. */
  #feedNext(reader: BodyReader): number {
    const { pieces, alikeFrom = 0, alikeTo = 0 } = this.#source;
    const at = this.#fed;
    const piece = String(pieces[at]);
    // One that fits the template is one frame.
    const fits = at >= alikeFrom && at < alikeTo;
    const from = this.#fedChars;
    const isRest = fits || piece.length - from <= PART_CHARS;
    const part =
      isRest && from === 0 ? piece : piece.slice(from, isRest ? piece.length : from + PART_CHARS);
    reader.feed(part, fits);
    this.#fed += isRest ? 1 : 0;
    this.#fedChars = isRest ? 0 : from + PART_CHARS;
    return part.length;
  }

  async #resultInSlices(reader: BodyReader, slice: Slice): Promise<BodyReading> {
    const reading = reader.result();
    if (!this.#options.keepsEvents(reading)) return reading;
    while (!reader.parsePayloads(PAYLOADS_A_PART)) {
      if (slice.isOverAfter(PART_CHARS)) await slice.next();
    }
    return reading;
  }

  #decodedNow(): DecodedBody | undefined {
    const { pieces } = this.#source;
    if (this.#decoded?.pieces === pieces.length) return this.#decoded.body;
    if (this.#source.stored !== undefined) return undefined;
    const { contentType, contentEncoding, maxBytes } = this.#options;
    const body = decodeAtOnce(pieces, contentEncoding, maxBytes, charsetOf(contentType));
    if (body !== undefined) this.#decoded = { pieces: pieces.length, body };
    return body;
  }

  /** As far as one slice goes. */
  #readDecoded(): BodyReading | undefined {
    const body = this.#decodedNow();
    if (body === undefined || body.text.length > MAX_AT_ONCE_CHARS) return undefined;
    const reader = this.#begin();
    const slice = new Slice();
    for (const part of partsOf(body.text)) {
      reader.feed(part);
      if (body.text.length > FEW_CHARS && slice.isOverAfter(part.length)) return undefined;
    }
    this.#fed = this.#source.pieces.length;
    return this.#finishDecoded(reader.result(), body);
  }

  async #readDecodedInSlices(body: DecodedBody): Promise<BodyReading> {
    const reader = this.#begin();
    const slice = new Slice();
    await feedInSlices(reader, body.text, slice);
    return this.#finishDecoded(await this.#resultInSlices(reader, slice), body);
  }

  /** Bytes that cannot be decoded make the answer unreadable, not empty. */
  #finishDecoded(result: BodyReading, { dropped, undecodable }: DecodedBody): BodyReading {
    this.dropped = dropped + this.#missing;
    if (undecodable === undefined) return result;
    const events = [{ base64: Buffer.from(undecodable).toString('base64') }];
    return { ...result, events, empty: false, unknownText: true };
  }

  #guarded(read: () => BodyReading | undefined): BodyReading | undefined {
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
    const reader = new BodyReader('text', '');
    reader.feed(text);
    this.#last = { ...reader.result(), events: [], empty: pieces.length === 0 };
    return this.#last;
  }
}
