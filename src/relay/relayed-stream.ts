/**
 * One live stream that is sent to the engine: what the engine has of it, and what it lacks. The bytes stay where they are captured;
 * they are encoded for each exchange, and again for the next one if that failed.
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

/** The largest part, in bytes: an engine that stores parts can read a few at a time. */
const PART_BYTES = 65_536;
/** Approximate bytes of one stream in one exchange. */
const SHARE_BYTES = 1_048_576;

/** What one exchange contains of a stream. */
export interface StreamShare {
  readonly opening: RelayOpening | undefined;
  readonly parts: readonly RelayPart[];
  readonly state: RelayState | undefined;
  /** Its message is in the store, or it has none. */
  readonly isSettled: boolean;
  /** With this share the engine has every byte that existed when the share was made. */
  readonly isAll: boolean;
  /** Where the parts end; for `confirm`. */
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
  /** Called with true once the engine has every byte that existed when the function was added; with false when the exchange failed. */
  readonly waiters: ((isThere: boolean) => void)[] = [];
  /** Whether readers in this process get only what the engine has. `undefined`: they get every byte that is not held. */
  waitsForEngine: (() => boolean) | undefined;
  /** Those of `waiters` that the running exchange will call. */
  #taken: ((isThere: boolean) => void)[] = [];
  #cursor = START;
  /** False after a lost lease, until the engine has answered how many bytes it has: until then no parts are sent. */
  #isLengthKnown = true;
  #isOpened = false;
  #told = '';
  #isSettled = false;
  #isSettledTold = false;
  #hold: HeldPlace | undefined;
  /** JSON, and the number of pieces that it covers. */
  #ending: { readonly json: string; readonly pieces: number } | undefined;
  /** Bytes of the whole body, once the stream has an end. */
  #length: number | undefined;
  /** Offset from which readers never get any bytes, because the pieces are not the exact bytes of the body. */
  #inexactFrom: number | undefined;

  constructor(source: RelaySource) {
    this.source = source;
  }

  get id(): string {
    return this.source.opened.id;
  }

  /** The engine has its end and the result of its message, and lacks nothing. */
  get isTold(): boolean {
    const { end } = this.source;
    if (end === undefined || end.save === null || !this.#isOpened) return false;
    return !this.hasNews;
  }

  /**
   * A message of the stream is due. `makeJson` receives the number of bytes of the body that the message covers, and returns what the
   * message is built from together with the body. A later call replaces an earlier one.
   */
  conclude(makeJson: (endsAt: number) => string): void {
    const { pieces } = this.source.body;
    let endsAt = this.#cursor.at;
    for (let at = this.#cursor.piece; at < pieces.length; at += 1) {
      endsAt += Buffer.byteLength(pieces[at] ?? '');
    }
    this.#ending = { json: makeJson(endsAt), pieces: pieces.length };
  }

  /** Its message is in the store, or it has none: the next share contains that. */
  settle(): void {
    this.#isSettled = true;
  }

  /** Whether the engine has every byte that is captured and that can still be sent. */
  get hasEveryByte(): boolean {
    return this.#count <= this.#cursor.piece;
  }

  /** Whether the engine lacks anything of the stream. */
  get hasNews(): boolean {
    if (!this.#isOpened || this.#count > this.#cursor.piece) return true;
    if (this.#isSettleDue) return true;
    return JSON.stringify(this.#state(this.#cursor)) !== this.#told;
  }

  /** The next share; `undefined` where the engine lacks nothing. */
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

  /** The engine has stored a share; `length` is how many bytes it has, where the share opened the stream. */
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

  /** The next exchange contains everything that the waiters wait for. */
  takeWaiters(): void {
    this.#taken.push(...this.waiters.splice(0));
  }

  /** That exchange is over: calls these waiters. */
  tellTaken(isThere: boolean): void {
    for (const tell of this.#taken.splice(0)) tell(isThere);
  }

  /** The lease was lost: the stream is opened again, and sent from the offset that the engine then answers. */
  reopen(): void {
    this.#isOpened = false;
    this.#isLengthKnown = false;
    this.#cursor = START;
    this.#told = '';
    this.#isSettledTold = false;
  }

  /** The bytes from `offset` on that readers in this process may have. */
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
    // Some pieces are not the exact bytes of the body: a reader ends irregularly before them.
    return { ...end, length: isExact ? this.endedBytes : Number.POSITIVE_INFINITY };
  }

  /** Bytes of an ended body, which is in memory only for the engine; 0 while the stream runs. */
  get endedBytes(): number {
    if (this.source.end === undefined) return 0;
    this.#length ??= this.#placeOf(Number.POSITIVE_INFINITY).at;
    return this.#length;
  }

  /** Settled, and the engine does not have that yet. A stream without a message counts as settled at its end. */
  get #isSettleDue(): boolean {
    if (this.#isSettledTold) return false;
    const save = this.source.end?.save;
    return this.#isSettled || save === 'empty' || save === 'discarded';
  }

  /** Number of pieces that the engine is to have; once the body was removed from memory, those that it has. */
  get #count(): number {
    const { isWhole, body } = this.source;
    return isWhole ? body.pieces.length : this.#cursor.piece;
  }

  /** Reads up to a hold and after it in two steps, so that the offset of the hold is known: readers elsewhere stop there. */
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
      // A share that ends before the hold need not contain its offset.
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

  /** Where the engine does not have the exact bytes of the body, the end is irregular for readers. */
  #endAt(length: number): RelayEnd | null {
    const { end, isExact } = this.source;
    return end === undefined ? null : { ...end, isTidy: end.isTidy && isExact, length };
  }

  /** The last position between two pieces that is not after `length` bytes. */
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
