/**
 * The journal: streams write ahead to it, so that neither a dead process nor a dead database loses what a client has received.
 * This file makes its parts and implements the interface for the saver.
 */
import { LastchunkError } from '../core/errors.ts';
import type { Captured, OpenedStream, StreamLog } from '../core/save-port.ts';
import type { Message } from '../core/message.ts';
import { refusedMessages, writeRefused, type RefusedMessage } from './aside/dead-letters.ts';
import { SetAside, asideBoundOf } from './aside/set-aside.ts';
import { isMeantBy, parsePurgeRequest, type PurgeRequest } from './erase.ts';
import { diskFiles } from './fs.ts';
import { Lease, countUser } from './lease/lease.ts';
import { Notices } from './notices.ts';
import type {
  Ending,
  Journal,
  JournalEntry,
  JournalProblem,
  JournalState,
  PurgeCounts,
} from './port.ts';
import { OwnBacklog } from './read/kept.ts';
import { Orphans } from './read/orphans.ts';
import { BodyReader } from './read/reader.ts';
import { reasonOf } from './write/degraded.ts';
import { WriteEngine } from './write/engine.ts';
import { Log } from './write/stream-log.ts';
import { acceptsStore, storeNameOf, type JournalWiring } from './wiring.ts';

/** How often an owner renews its lease, in milliseconds. */
const RENEW_MS = 5_000;

/**
 * Opens the journal. A directory given by hand that cannot be used throws `journal-unusable`; without the default one
 * the journal is degraded and goes on trying.
 */
export function openJournal(wiring: JournalWiring): DiskJournal {
  const journal = new DiskJournal(wiring);
  journal.start();
  return journal;
}

/** The one implementation of `Journal`. */
export class DiskJournal implements Journal {
  readonly #wiring: JournalWiring;
  readonly #store: string | undefined;
  readonly #setAside: SetAside;
  readonly #notices: Notices;
  readonly #lease: Lease;
  readonly #engine: WriteEngine;
  readonly #backlog: OwnBacklog;
  readonly #orphans: Orphans;
  #corruptRecords = 0;
  #renewal: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  constructor(wiring: JournalWiring) {
    this.#wiring = wiring;
    const { settings, seams = {}, onError, onWrite, onDegraded } = wiring;
    const { path } = settings;
    const store = (this.#store = storeNameOf(wiring));
    const files = { ...diskFiles, ...seams.files };
    this.#notices = new Notices(wiring);
    this.#setAside = new SetAside({
      path,
      bound: asideBoundOf(settings.maxBytes),
      onExpired: (kind, gone) => this.#notices.tellExpired(kind, gone),
      onError,
    });
    const onCorrupt = (count: number): void => this.#noteCorrupt(count);
    const reader = new BodyReader(files);
    const lease = new Lease({
      path,
      store,
      onRequest: async (request) => this.purge(parsePurgeRequest(request)),
      onError,
      onOpened: () => {
        this.#notices.tellFileSystem();
        // A write after `close` has opened a new directory.
        if (this.#closing !== undefined) this.#startRenewal();
      },
      onLost: (how, directory) => this.#noteLost(how, directory),
      onFailed: (error) => this.#engine.health.block(reasonOf(error)),
    });
    const orphans = this.#createOrphans(lease, reader);
    const otherBytes = (): number => orphans.bytes + this.#setAside.counts.damaged.bytes;
    const told = { onWrite, onDegraded, onError, onCorrupt };
    this.#lease = lease;
    this.#orphans = orphans;
    this.#engine = new WriteEngine({
      settings,
      store,
      files,
      reader,
      seams,
      lease,
      setAside: this.#setAside,
      otherBytes,
      onDamaged: (segment, how) => this.#notices.tellDamage(segment, how),
      ...told,
    });
    this.#backlog = new OwnBacklog({
      path,
      store,
      reader,
      onCorrupt,
      onError,
      streams: this.#engine.streams,
      instance: () => lease.current?.id ?? '',
    });
  }

  #createOrphans(lease: Lease, reader: BodyReader): Orphans {
    const { settings, onError } = this.#wiring;
    return new Orphans({
      path: settings.path,
      store: this.#store,
      lease,
      reader,
      setAside: this.#setAside,
      onError,
      onCorrupt: (count) => this.#noteCorrupt(count),
      onRefused: (error) => this.#notices.tellUntrusted(error),
      // Streams that waited for room can be written now.
      onFreed: () => this.#engine.syncer.soon(),
      accepts: (theirs) => acceptsStore(this.#wiring, theirs),
      onFound: (what, where) => this.#notices.tellFound(what, where),
    });
  }

  /** The directory that it holds now; `undefined` while none can be had. */
  get directory(): string | undefined {
    return this.#lease.current?.directory;
  }

  /** Opens the directory, and renews it from then on. */
  start(): void {
    const { settings, onError } = this.#wiring;
    const { path, given } = settings;
    try {
      this.#lease.open();
    } catch (error) {
      // Saving the messages on a full disk frees it, so recovery starts now and the rest is tried again later.
      if (given && reasonOf(error) !== 'full') {
        const why = error instanceof Error ? error.message : String(error);
        throw new LastchunkError(
          'journal-unusable',
          `\`journal\`: the directory ${JSON.stringify(path)} cannot be used (${why}); give one that this process may make and write`,
          { cause: error },
        );
      }
      onError(error);
      this.#engine.health.block(reasonOf(error));
    }
    void this.#setAside.refresh();
    const users = countUser(path, 1);
    if (users > 1) this.#notices.tellShared(users);
    this.#startRenewal();
  }

  open(stream: OpenedStream, body: Captured): StreamLog {
    return this.#engine.streams.open(stream, body);
  }

  end(log: StreamLog, ending: Ending): void {
    if (log instanceof Log) this.#engine.streams.end(log, ending);
  }

  keep(log: StreamLog): void {
    if (log instanceof Log) this.#engine.streams.keep(log);
  }

  async sync(log: StreamLog): Promise<boolean> {
    if (!(log instanceof Log)) return false;
    if (await this.#engine.sync(log)) return true;
    // While this journal closes, its files go to the next process: then the stream is written again elsewhere.
    return this.#closing !== undefined && this.#engine.sync(log);
  }

  settled(log: StreamLog): void {
    if (log instanceof Log) this.#engine.streams.settle(log);
  }

  async refuse(log: StreamLog, message: Message, sqlstate: string): Promise<boolean> {
    try {
      await writeRefused(this.#wiring.settings.path, message, sqlstate, this.#store);
    } catch (error) {
      this.#wiring.onError(error);
      return false;
    }
    this.settled(log);
    return true;
  }

  refusedMessages(): readonly RefusedMessage[] {
    const { path } = this.#wiring.settings;
    return refusedMessages(path).filter(({ store }) => acceptsStore(this.#wiring, store));
  }

  backlog(limit: number, isSkipped?: (streamId: string) => boolean): readonly JournalEntry[] {
    return this.#backlog.first(limit, isSkipped);
  }

  backlogSize(): number {
    return this.#engine.streams.waiting.size;
  }

  recover(signal: AbortSignal): AsyncIterable<JournalEntry> {
    return this.#orphans.entries(signal);
  }

  state(): JournalState {
    const { maxBytes, ephemeral } = this.#wiring.settings;
    const setAside = this.#setAside.counts;
    return {
      entries: this.#engine.logs.onDisk.size + this.#orphans.count,
      bytes: this.#engine.segments.bytes + this.#orphans.bytes + setAside.damaged.bytes,
      capacityBytes: maxBytes,
      oldestEntryMs: this.#oldestMs(),
      degraded: this.#engine.health.reason,
      corruptRecords: this.#corruptRecords,
      fileSystem: this.#notices.fileSystem ?? 'none',
      ephemeral,
      problems: this.#problems(),
      setAside,
    };
  }

  /** Takes over what dead processes left, and hands out none of it. Never rejects. */
  takeDead = (signal: AbortSignal): Promise<void> => this.#orphans.takeDead(signal);

  /**
   * Gives up the messages that are meant, also those of dead processes that were taken over, and takes their text off the
   * disk, and that of all that are settled. Rejects with what the disk says.
   */
  async purge(request: PurgeRequest): Promise<PurgeCounts> {
    const own = await this.#engine.purge((stream) => isMeantBy(request, stream));
    const taken = await this.#orphans.purge((stream) => isMeantBy(request, stream));
    return { ...own, purged: own.purged + taken, unknown: this.#orphans.unnamed };
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      clearInterval(this.#renewal);
      countUser(this.#wiring.settings.path, -1);
      this.#closing = this.#close().catch(this.#wiring.onError);
    }
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#engine.close();
    this.#orphans.forget();
    await this.#lease.release();
  }

  #startRenewal(): void {
    clearInterval(this.#renewal);
    this.#renewal = setInterval(() => void this.#renew(), RENEW_MS).unref();
  }

  async #renew(): Promise<void> {
    void this.#setAside.refresh();
    this.#engine.sealQuiet();
    // An fsync round handles a directory that was taken over.
    if (!(await this.#lease.renew())) await this.#engine.syncer.request();
  }

  #noteLost(how: 'taken' | 'deleted', directory: string): void {
    if (how === 'deleted') {
      // What was taken over stood in it as well; it is saved out of the open files.
      this.#engine.rescue();
      this.#notices.tellDamage(directory, 'deleted');
      return;
    }
    this.#engine.abandon();
    this.#orphans.forget();
  }

  #problems(): Partial<Record<JournalProblem, number>> {
    const counts = {
      unreadable: this.#orphans.unread + this.#backlog.unread,
      damaged: this.#setAside.counts.damaged.files,
      untrusted: this.#notices.untrusted,
      poisonous: this.#orphans.poisonous,
      foreign: this.#orphans.foreign,
    };
    return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
  }

  #noteCorrupt(count: number): void {
    this.#corruptRecords += count;
    this.#wiring.onCorrupt(count);
  }

  #oldestMs(): number {
    const times = [this.#engine.streams.oldestMs, this.#orphans.oldestMs].filter((ms) => ms > 0);
    return times.length === 0 ? 0 : Math.min(...times);
  }
}
