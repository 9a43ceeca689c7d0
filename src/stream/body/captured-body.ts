/**
 * Reads a captured body, both in the process that wrote it and in one that recovers it from a journal: only the pieces that are new
 * are read, in slices where they are many. It never throws.
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
 * Unread text of more than this is read in slices; so is text whose reading takes longer than a slice. At most `FEW_CHARS`, 2,000 tiny
 * frames, are always read at once: on a busy machine every answer would be read in slices.
 */
const MAX_AT_ONCE_CHARS = 262_144;
const FEW_CHARS = 16_384;
/** Payloads that are parsed between two reads of the clock, where events are kept. */
const PAYLOADS_A_PART = 128;

/** A body to read: its pieces, and facts that make reading them faster. */
export interface BodySource {
  /** The beginning that is on disk only, before the pieces. */
  readonly stored?: StoredBeginning | undefined;
  readonly pieces: readonly Piece[];
  /** The pieces from here to before `alikeTo` are frames that fit the template. */
  readonly alikeFrom?: number;
  readonly alikeTo?: number;
  /** Called before the present pieces are read: they must not be changed from now on. */
  noteReading?(): void;
}

/** How a body is read. */
export interface CapturedBodyOptions {
  readonly format: Format | 'auto';
  /** Names the charset of the bytes, if that is not UTF-8. */
  readonly contentType: string;
  readonly contentEncoding: string;
  /** Bytes of a decoded body at most. */
  readonly maxBytes: number;
  readonly template: () => FrameTemplate | undefined;
  readonly onFormatError: (error: unknown) => void;
  /** Whether the events of this reading will be kept, so that its payloads have to be parsed. */
  readonly keepsEvents: (reading: BodyReading) => boolean;
}

/** Reads one body as it grows. */
export class CapturedBody {
  /** Bytes of an encoded body that could not be decoded or were over the limit; bytes that could not be read from the disk. */
  dropped = 0;
  /** A format threw an error: the body was read as plain text, and whether it is complete is unknown. */
  isBroken = false;
  readonly #source: BodySource;
  readonly #options: CapturedBodyOptions;
  /** The beginning that is on disk only was read. */
  #isBeginningRead = false;
  /** Bytes that could not be read from the disk, and those after them, which are not read: the text would have a gap. */
  #missing = 0;
  #reader: BodyReader | undefined;
  /** Number of pieces that were read. */
  #fed = 0;
  /** Characters of the next piece that were read. */
  #fedChars = 0;
  /** The number of pieces with which reading at once took longer than a slice. */
  #slowAt: number | undefined;
  #last: BodyReading | undefined;
  /** Number of readings in slices that are not finished; below, the last of them. */
  #slicing = 0;
  #sliced: Promise<unknown> = Promise.resolve();
  #decoded: { readonly pieces: number; readonly body: DecodedBody } | undefined;

  constructor(source: BodySource, options: CapturedBodyOptions) {
    this.#source = source;
    this.#options = options;
  }

  /** The reading of all pieces, if one slice is enough for it; undefined where it has to be read in slices. */
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

  /** The reading of all pieces; the reading before, where they have to be read in slices. */
  read(): BodyReading {
    return this.readAtOnce() ?? this.#last ?? this.#begin().result();
  }

  /** Reads the pieces that are present at the call, in slices of a few milliseconds. */
  async readInSlices(): Promise<BodyReading> {
    const atOnce = this.readAtOnce();
    if (atOnce !== undefined) return atOnce;
    // One after the other: two readings must not advance the same reader at once.
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
      // The attempt to read at once may have used a whole slice.
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

  /** The pieces are bytes: the body is encoded, or turned out not to be text. */
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

  /** Reads on within one slice; undefined if that is not enough. */
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
    // A piece that fits the template is one frame, and is not split.
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

  /** Decodes and reads within one slice; undefined if that is not enough. */
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

  /** With bytes that cannot be decoded, the text of the answer is unknown, not empty. */
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
