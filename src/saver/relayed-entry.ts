/**
 * A message whose body the relay has, as an entry for replay: of this process after it left memory, or of a dead instance. If the
 * engine has less than the ending claims, the message is not complete. If the engine no longer has the body, no row is written: an
 * empty row would mean that there was no answer.
 */
import type { OpenedStream, Piece } from '../core/save-port.ts';
import { toRecord } from '../core/values.ts';
import type { Ending, JournalEntry } from '../journal/port.ts';
import { endJson, parseEnding } from '../journal/record-json.ts';
import { BodyGoneError } from '../relay/takeover.ts';

/** What a message's other facts are, as the engine keeps them. */
export interface StoredEnding {
  readonly ending: Ending;
  /** Bytes of the body that it speaks of. */
  readonly endsAt: number;
}

/** What an entry is made of. */
export interface RelayedEntryOptions {
  readonly opened: OpenedStream;
  /** `undefined` where the owner died before the stream ended. */
  readonly stored: StoredEnding | undefined;
  /** Rejects with `BodyGoneError` where the engine does not know the stream any more. */
  readonly read: () => Promise<readonly Piece[]>;
  /** The store has it, or it will never have it. */
  readonly settle: () => void;
  /** See `JournalEntry.postpone`. */
  readonly postpone?: () => void;
  /** The message is lost. */
  readonly onGone: () => void;
}

/** One message. */
export class RelayedEntry implements JournalEntry {
  readonly opened: OpenedStream;
  readonly endsAt: number | undefined;
  readonly postpone?: () => void;
  readonly #options: RelayedEntryOptions;
  #isGone = false;
  #hasHole = false;

  constructor(options: RelayedEntryOptions) {
    this.#options = options;
    this.opened = options.opened;
    this.endsAt = options.stored?.endsAt;
    if (options.postpone !== undefined) this.postpone = options.postpone;
  }

  get ending(): Ending | undefined {
    const ending = this.#isGone ? undefined : this.#options.stored?.ending;
    return ending !== undefined && this.#hasHole ? { ...ending, complete: false } : ending;
  }

  async body(): Promise<readonly Piece[]> {
    let pieces: readonly Piece[];
    try {
      pieces = await this.#options.read();
    } catch (error) {
      if (!(error instanceof BodyGoneError)) throw error;
      if (!this.#isGone) this.#options.onGone();
      this.#isGone = true;
      return [];
    }
    const bytes = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
    this.#hasHole = bytes < (this.endsAt ?? 0);
    return pieces;
  }

  settle(): Promise<void> {
    this.#options.settle();
    return Promise.resolve();
  }

  /** There is no place to keep the message: delivery has logged its id. */
  refuse(): Promise<void> {
    return this.settle();
  }
}

/** The text in which the engine keeps an ending. */
export function endingJson({ ending, endsAt }: StoredEnding): string {
  return JSON.stringify({ ending: endJson(ending), endsAt });
}

/** Reads that text; `undefined` for what is none. */
export function parseStoredEnding(json: string, opened: OpenedStream): StoredEnding | undefined {
  try {
    const { ending, endsAt } = toRecord(JSON.parse(json));
    if (typeof ending !== 'string' || typeof endsAt !== 'number') return undefined;
    return { ending: parseEnding(ending, opened), endsAt };
  } catch {
    return undefined;
  }
}
