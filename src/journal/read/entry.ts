/**
 * A stream as the saver meets it, whoever wrote it: this process or a dead one. What its records do not bear out is not
 * complete, and that is known for certain only after its body was read.
 */
import type { Message } from '../../core/message.ts';
import type { OpenedStream, Piece } from '../../core/save-port.ts';
import { writeRefused } from '../aside/dead-letters.ts';
import type { Ending, JournalEntry } from '../port.ts';
import { parseEnding } from '../record-json.ts';
import type { ReadBack } from './reader.ts';

/** What an entry is made of. */
export interface StoredEntryOptions {
  /** The journal's path. */
  readonly path: string;
  /** Names the store that messages go to; a refused one carries it. */
  readonly store: string | undefined;
  readonly opened: OpenedStream;
  /** JSON of the last end record; `undefined` when there is none, or it cannot be read. */
  readonly endJson: string | undefined;
  /** Bytes of the body that the records tell of: less than that is a hole. */
  readonly expectedBytes: number;
  /** A hole is known of before the body is read. */
  readonly isCut: boolean;
  readonly endsAt: number | undefined;
  /** Rejects with what the disk says. */
  readonly read: () => Promise<ReadBack>;
  /** The store has it. */
  readonly settle: () => void;
  /** See `JournalEntry.postpone`. */
  readonly postpone?: () => void;
  /** The body has a hole that was not known before. */
  readonly onHole: () => void;
  /** An operator has given it up: there is nothing to be read any more. */
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
