/**
 * A stream for the saver, written by this process or by a dead one. A message whose body has a gap is not complete; that is known
 * only after the body was read.
 */
import type { Message } from '../../core/message.ts';
import type { OpenedStream, Piece } from '../../core/save-port.ts';
import { writeRefused } from '../aside/dead-letters.ts';
import type { Ending, JournalEntry } from '../port.ts';
import { parseEnding } from '../record-json.ts';
import type { ReadBack } from './reader.ts';

/** Options of `StoredEntry`. */
export interface StoredEntryOptions {
  /** The journal's path. */
  readonly path: string;
  /** Names the store that messages go to; a refused one carries it. */
  readonly store: string | undefined;
  readonly opened: OpenedStream;
  /** JSON of the last end record; `undefined` when there is none, or it cannot be read. */
  readonly endJson: string | undefined;
  /** Bytes of the body by the records: a shorter body has a gap. */
  readonly expectedBytes: number;
  /** A gap is known before the body is read. */
  readonly isCut: boolean;
  readonly endsAt: number | undefined;
  /** Reads the body. Rejects with the error of the file system. */
  readonly read: () => Promise<ReadBack>;
  /** The store has it. */
  readonly settle: () => void;
  /** See `JournalEntry.postpone`. */
  readonly postpone?: () => void;
  /** Reading found a gap that was not known before. */
  readonly onHole: () => void;
  /** An operator has purged it: its body is empty and it has no ending. */
  readonly isGone: () => boolean;
  /** See `JournalEntry.wasRead`. */
  readonly wasRead?: () => void;
}

export class StoredEntry implements JournalEntry {
  readonly opened: OpenedStream;
  readonly endsAt: number | undefined;
  readonly postpone?: () => void;
  readonly #options: StoredEntryOptions;
  readonly #ending: Ending | undefined;
  #hasHole: boolean;

  constructor(options: StoredEntryOptions) {
    const { opened, endJson } = options;
    this.#options = options;
    this.opened = opened;
    this.endsAt = options.endsAt;
    if (options.postpone !== undefined) this.postpone = options.postpone;
    this.#ending = endJson === undefined ? undefined : parseEnding(endJson, opened);
    this.#hasHole = options.isCut;
  }

  get ending(): Ending | undefined {
    const ending = this.#options.isGone() ? undefined : this.#ending;
    return ending !== undefined && this.#hasHole ? { ...ending, complete: false } : ending;
  }

  get hasHole(): boolean {
    return this.#hasHole && !this.#options.isGone();
  }

  async body(): Promise<readonly Piece[]> {
    const { read, expectedBytes, onHole, isGone } = this.#options;
    if (isGone()) return [];
    const { pieces, bytes } = await read();
    if (bytes < expectedBytes && !this.#hasHole) {
      this.#hasHole = true;
      onHole();
    }
    return pieces;
  }

  wasRead(): void {
    this.#options.wasRead?.();
  }

  settle(): Promise<void> {
    this.#options.settle();
    return Promise.resolve();
  }

  async refuse(message: Message, sqlstate: string): Promise<void> {
    const { path, store } = this.#options;
    await writeRefused(path, message, sqlstate, store);
    await this.settle();
  }
}
