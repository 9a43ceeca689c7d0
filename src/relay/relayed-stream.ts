/**
 * One live stream on its way to the engine: what the engine has of it, and what it has still to be told. The bytes stay where they
 * are captured; they are encoded for one exchange, and again for the next one if that failed.
 */
import type { RelayEnd, RelayOpening, RelayPart, RelayState } from './port.ts';
import {
  headJson,
  type PieceCursor,
  readPieces,
  type ReadPieces,
  type RelaySource,
  START,
} from './source.ts';

/** Parts are cut at so many bytes behind each other, so that a reader can be given a few at a time. */
const PART_BYTES = 65_536;
/** Bytes of one stream in one exchange, about. */
const SHARE_BYTES = 1_048_576;

/** What one exchange takes of a stream. */
export interface StreamShare {
  readonly opening: RelayOpening | undefined;
  readonly parts: readonly RelayPart[];
  readonly state: RelayState | undefined;
  /** Its message is in the store, or it leaves none. */
  readonly isSettled: boolean;
  /** Nothing is left: what was asked for before it was made is in it. */
  readonly isAll: boolean;
  /** For `confirm`. */
  readonly cursor: PieceCursor;
}

/** Where a hold begins, in pieces and in bytes. */
interface HeldPlace {
  readonly piece: number;
  readonly at: number;
}

/** What the engine has of one stream. */
export class RelayedStream {
  readonly source: RelaySource;
  /** Called once the engine has everything that there was when they were put here; false: it could not be told. */
  readonly waiters: ((isThere: boolean) => void)[] = [];
  /** Whether readers in this process may have now what the engine has, and nothing else; always without one. */
  waitsForEngine: (() => boolean) | undefined;
  /** Those of them that the exchange on its way is for. */
  #taken: ((isThere: boolean) => void)[] = [];
  #cursor = START;
  /** The engine has to say how much it has before it is told more. */
  #isLengthKnown = true;
  #isOpened = false;
  #told = '';
  #isSettled = false;
  #isSettledTold = false;
  #hold: HeldPlace | undefined;
  /** JSON, and the number of pieces that it speaks of. */
  #ending: { readonly json: string; readonly pieces: number } | undefined;
  /** Of the whole body, once it has an end. */
  #length: number | undefined;
  /** Bytes from here on are for no reader, ever. */
  #inexactFrom: number | undefined;

  constructor(source: RelaySource) {
    this.source = source;
  }

  get id(): string {
    return this.source.opened.id;
  }

  /** The engine knows how it ended, and what became of its message. */
  get isTold(): boolean {
    const { end } = this.source;
    if (end === undefined || end.save === null || !this.#isOpened) return false;
    return !this.hasNews;
  }

  /**
   * A message of the stream is due, and `makeJson` gives what it is made from beside the body: it is told how many bytes it speaks
   * of. The newest one counts.
   */
  conclude(makeJson: (endsAt: number) => string): void {
    const { pieces } = this.source.body;
    let endsAt = this.#cursor.at;
    for (let at = this.#cursor.piece; at < pieces.length; at += 1) {
      endsAt += Buffer.byteLength(pieces[at] ?? '');
    }
    this.#ending = { json: makeJson(endsAt), pieces: pieces.length };
  }

  /** Its message is in the store, or it leaves none: told with the stream, or with what it tells next. */
  settle(): void {
    this.#isSettled = true;
  }

  /** Whether the engine has taken every byte that there is and that it can be told. */
  get hasEveryByte(): boolean {
    return this.#count <= this.#cursor.piece;
  }

  /** Whether the engine has less than there is. */
  get hasNews(): boolean {
    if (!this.#isOpened || this.#count > this.#cursor.piece) return true;
    if (this.#isSettleDue) return true;
    return JSON.stringify(this.#state(this.#cursor)) !== this.#told;
  }

  /** The next share; `undefined` where there is nothing to tell. */
  next(): StreamShare | undefined {
    if (!this.hasNews) return undefined;
    const { source } = this;
    if (!source.isExact) this.#inexactFrom ??= this.#cursor.at;
    const bodies = this.#isLengthKnown && source.isWhole ? this.#read() : [];
    const cursor = bodies.at(-1)?.cursor ?? this.#cursor;
    const isAll = this.#isLengthKnown && source.isWhole && cursor.piece === this.#count;
    const state = this.#state(cursor);
    const opening = { streamId: this.id, head: '', startedAtMs: source.opened.startedAtMs };
    return {
      opening: this.#isOpened ? undefined : { ...opening, head: headJson(source) },
      parts: partsOf(this.id, this.#cursor.at, bodies),
      state: this.#isOpened && JSON.stringify(state) === this.#told ? undefined : state,
      isSettled: this.#isSettleDue,
      isAll,
      cursor,
    };
  }

  /** The engine has taken a share; `length` is how much it has of a stream that was opened. */
  confirm({ opening, state, isSettled, cursor }: StreamShare, length: number | undefined): void {
    this.#cursor = cursor;
    if (isSettled) this.#isSettledTold = true;
    if (state !== undefined) this.#told = JSON.stringify(state);
    if (opening === undefined) return;
    this.#isOpened = true;
    if (this.#isLengthKnown) return;
    this.#isLengthKnown = true;
    this.#cursor = this.#placeOf(length ?? 0);
  }

  /** The exchange that is about to be made has all that is there now. */
  takeWaiters(): void {
    this.#taken.push(...this.waiters.splice(0));
  }

  /** It was made. */
  tellTaken(isThere: boolean): void {
    for (const tell of this.#taken.splice(0)) tell(isThere);
  }

  /** The lease was lost: the engine is told anew, from where it says. */
  reopen(): void {
    this.#isOpened = false;
    this.#isLengthKnown = false;
    this.#cursor = START;
    this.#told = '';
    this.#isSettledTold = false;
  }

  /** What readers in this process may have from `offset` on. */
  readFrom(cursor: PieceCursor, offset: number, maxBytes: number): ReadPieces {
    const { body, heldFrom = body.pieces.length, isExact } = this.source;
    const isBehind = this.waitsForEngine?.() === true;
    const end = isExact
      ? Math.min(heldFrom, isBehind ? this.#cursor.piece : heldFrom)
      : cursor.piece;
    return readPieces(body.pieces, { cursor, offset, end: Math.max(end, cursor.piece) }, maxBytes);
  }

  /** How it ended, for readers in this process. */
  get localEnd(): RelayEnd | null {
    const { end, isExact } = this.source;
    if (end === undefined) return null;
    // Some of the pieces are not the bytes of the body: a reader is broken off before them.
    return { ...end, length: isExact ? this.endedBytes : Number.POSITIVE_INFINITY };
  }

  /** Bytes of a body that is over, and that memory holds for the engine alone; 0 while it goes on. */
  get endedBytes(): number {
    if (this.source.end === undefined) return 0;
    this.#length ??= this.#placeOf(Number.POSITIVE_INFINITY).at;
    return this.#length;
  }

  /** Settled, and not told yet. Where no message is due, none will be settled. */
  get #isSettleDue(): boolean {
    if (this.#isSettledTold) return false;
    const save = this.source.end?.save;
    return this.#isSettled || save === 'empty' || save === 'discarded';
  }

  /** Pieces that there are to tell; of a body that has left memory none that was not told. */
  get #count(): number {
    const { isWhole, body } = this.source;
    return isWhole ? body.pieces.length : this.#cursor.piece;
  }

  /** Up to a hold, and behind it: the place between the two is what readers elsewhere may not pass. */
  #read(): ReadPieces[] {
    const { body, heldFrom } = this.source;
    const found: ReadPieces[] = [];
    let cursor = this.#cursor;
    const readTo = (end: number): void => {
      const read = readPieces(body.pieces, { cursor, offset: cursor.at, end }, SHARE_BYTES);
      cursor = read.cursor;
      found.push(read);
    };
    if (heldFrom === undefined) this.#hold = undefined;
    else if (this.#hold?.piece !== heldFrom) {
      if (heldFrom > cursor.piece) readTo(heldFrom);
      // A share that ends before the hold need not know it.
      if (cursor.piece < heldFrom) return found;
      this.#hold = { piece: heldFrom, at: cursor.at };
    }
    readTo(body.pieces.length);
    return found;
  }

  #state(cursor: PieceCursor): RelayState {
    const { source } = this;
    const isWhole = cursor.piece === this.#count;
    const ending = this.#ending;
    const isHeld = source.heldFrom !== undefined && this.#hold?.piece === source.heldFrom;
    const heldFrom = this.#inexactFrom ?? (isHeld ? (this.#hold?.at ?? null) : null);
    return {
      streamId: this.id,
      conversationId: source.conversationId,
      heldFrom,
      ending:
        source.isWhole && ending !== undefined && cursor.piece >= ending.pieces
          ? ending.json
          : null,
      end: isWhole ? this.#endAt(cursor.at) : null,
    };
  }

  /** The end of a body that is not all there is none that a reader may take for regular. */
  #endAt(length: number): RelayEnd | null {
    const { end, isExact } = this.source;
    return end === undefined ? null : { ...end, isTidy: end.isTidy && isExact, length };
  }

  /** The place of a length that the engine told. */
  #placeOf(length: number): PieceCursor {
    const { pieces } = this.source.body;
    let at = 0;
    for (let piece = 0; piece < pieces.length; piece += 1) {
      const size = Buffer.byteLength(pieces[piece] ?? '');
      if (at + size > length) return { piece, at };
      at += size;
    }
    return { piece: pieces.length, at };
  }
}

function partsOf(streamId: string, from: number, bodies: readonly ReadPieces[]): RelayPart[] {
  const parts: RelayPart[] = [];
  let at = from;
  for (const { body } of bodies) {
    for (let begin = 0; begin < body.length; begin += PART_BYTES) {
      const part = body.subarray(begin, begin + PART_BYTES);
      parts.push({ streamId, at, body: part });
      at += part.length;
    }
  }
  return parts;
}
