/**
 * The journal of an instance that has a relay. With a journal on disk, everything is written there as without a relay, and the
 * relay also gets the other facts of each message and learns when the store has it. Without a disk the relay replaces the
 * journal: what the engine has acknowledged counts as journaled.
 */
import type { Message } from '../core/message.ts';
import type { Captured, OpenedStream, Piece, StreamLog } from '../core/save-port.ts';
import type {
  Ending,
  Journal,
  JournalEntry,
  JournalState,
  RefusedMessage,
} from '../journal/port.ts';
import type { RelayInstance } from '../relay/instance.ts';
import { readRelayedBody } from '../relay/takeover.ts';
import { endingJson, RelayedEntry, type StoredEnding } from './relayed-entry.ts';

/** Time limit at the close for sending the rest to the relay; the keeper has another limit. */
const LEAVE_MS = 5_000;

/** A journal whose streams are relayed; `disk` is `undefined` where the relay stands for it. */
export class RelayedJournal implements Journal {
  readonly #relay: RelayInstance;
  readonly #disk: Journal | undefined;
  readonly #opened = new WeakMap<StreamLog, OpenedStream>();
  readonly #endings = new WeakMap<StreamLog, StoredEnding>();
  /** Without a disk: messages that memory holds no longer, by stream id, in the order of their turns. */
  readonly #kept = new Map<string, JournalEntry>();

  constructor(relay: RelayInstance, disk: Journal | undefined) {
    this.#relay = relay;
    this.#disk = disk;
  }

  open(stream: OpenedStream, body: Captured): StreamLog {
    const log = this.#disk?.open(stream, body) ?? new NoLog();
    this.#opened.set(log, stream);
    return log;
  }

  end(log: StreamLog, ending: Ending): void {
    this.#disk?.end(log, ending);
    const opened = this.#opened.get(log);
    if (opened === undefined) return;
    this.#relay.streamOf(opened.id)?.conclude((endsAt) => {
      const stored = { ending, endsAt };
      this.#endings.set(log, stored);
      return endingJson(stored);
    });
  }

  sync(log: StreamLog): Promise<boolean> {
    if (this.#disk !== undefined) return this.#disk.sync(log);
    const opened = this.#opened.get(log);
    return opened === undefined ? Promise.resolve(false) : this.#relay.sync(opened.id);
  }

  settled(log: StreamLog): void {
    this.#disk?.settled(log);
    const opened = this.#opened.get(log);
    if (opened !== undefined) this.#relay.settle(opened.id);
  }

  /** Only a disk has a place for what the store can never take; another instance would be refused as well. */
  async refuse(log: StreamLog, message: Message, sqlstate: string): Promise<boolean> {
    const isAside = (await this.#disk?.refuse(log, message, sqlstate)) ?? false;
    const opened = this.#opened.get(log);
    if (opened !== undefined && (isAside || this.#disk === undefined)) {
      this.#relay.settle(opened.id);
      this.#endings.delete(log);
    }
    return isAside;
  }

  refusedMessages(): readonly RefusedMessage[] {
    return this.#disk?.refusedMessages() ?? [];
  }

  backlog(
    limit: number,
    isSkipped: (streamId: string) => boolean = never,
  ): readonly JournalEntry[] {
    if (this.#disk !== undefined) return this.#disk.backlog(limit, isSkipped);
    const found: JournalEntry[] = [];
    for (const [id, entry] of this.#kept) {
      if (found.length >= limit) break;
      if (!isSkipped(id)) found.push(entry);
    }
    return found;
  }

  backlogSize(): number {
    return this.#disk?.backlogSize() ?? this.#kept.size;
  }

  keep(log: StreamLog): void {
    if (this.#disk !== undefined) return this.#disk.keep(log);
    const opened = this.#opened.get(log);
    const stored = this.#endings.get(log);
    if (opened === undefined || stored === undefined) return;
    const { id } = opened;
    const entry = new RelayedEntry({
      opened,
      stored,
      read: () => readRelayedBody(this.#relay.settings.engine, id),
      settle: () => {
        this.#kept.delete(id);
        this.#relay.settle(id);
      },
      postpone: () => {
        this.#kept.delete(id);
        this.#kept.set(id, entry);
      },
      onGone: () => this.#relay.tellGone(opened),
    });
    this.#kept.set(id, entry);
  }

  async *recover(signal: AbortSignal): AsyncIterable<JournalEntry> {
    if (this.#disk !== undefined) yield* this.#disk.recover(signal);
  }

  state(): JournalState {
    if (this.#disk !== undefined) return this.#disk.state();
    const { isUp, streams } = this.#relay.report();
    return {
      ...NO_DISK,
      entries: streams + this.#kept.size,
      degraded: isUp ? undefined : 'relay away',
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#disk?.close(), this.#relay.close(LEAVE_MS)]);
  }
}

/** The log of a stream that nothing is written ahead for. */
class NoLog implements StreamLog {
  readonly ahead = false;
  readonly clean = true;

  append(): void {
    // The relay reads the body itself, when a flush is due.
  }

  flush(): void {
    // Nothing waits.
  }

  releaseBody(): undefined {
    // Memory is all there is.
  }

  readBack(): Promise<readonly Piece[]> {
    return Promise.resolve([]);
  }

  drop(): void {
    // The relay is told by the stream's end that no message is due.
  }

  close(): void {
    // Nor has it records that would go.
  }
}

const NO_DISK: JournalState = {
  entries: 0,
  bytes: 0,
  capacityBytes: 0,
  oldestEntryMs: 0,
  degraded: undefined,
  corruptRecords: 0,
  fileSystem: 'network',
  ephemeral: true,
};

function never(): boolean {
  return false;
}
