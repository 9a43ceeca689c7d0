/**
 * The journal: what streams write ahead to, so that neither a dead process nor a dead database loses what a client has
 * seen. Here its parts are made and it meets the saver.
 */
import { epochOf, systemClock } from '../core/clock.ts';
import { LastchunkError } from '../core/errors.ts';
import type { Captured, OpenedStream, StreamLog } from '../core/save-port.ts';
import type { Message } from '../core/message.ts';
import { boundRefused, writeRefused } from './dead-letters.ts';
import { diskFiles } from './fs.ts';
import type { Files } from './fs.ts';
import { Lease, countUser } from './lease/lease.ts';
import { Notices } from './notices.ts';
import type { JournalSettings } from './options.ts';
import type { Ending, Journal, JournalEntry, JournalProblem, JournalState } from './port.ts';
import { OwnBacklog } from './read/kept.ts';
import { Orphans } from './read/orphans.ts';
import { BodyReader } from './read/reader.ts';
import { SetAside } from './set-aside.ts';
import { reasonOf } from './write/degraded.ts';
import type { DegradedReason } from './write/degraded.ts';
import { WriteEngine } from './write/engine.ts';
import type { JournalSeams } from './write/engine.ts';
import { Log } from './write/stream-log.ts';

/** What the guard wires a journal to. Callbacks are told after the fact and must not throw. */
export interface JournalWiring {
  readonly settings: JournalSettings;
  /** Something failed that must not; the journal goes on. */
  readonly onError: (error: unknown) => void;
  /** After each tick that wrote: how long its writes took. */
  readonly onWrite: (seconds: number) => void;
  /** Records were found torn or damaged. */
  readonly onCorrupt: (count: number) => void;
  /** It cannot be relied on from now on, or it can again. */
  readonly onDegraded: (reason: DegradedReason | undefined) => void;
  /** What an operator should read: about the file system, and what somebody else did to the directory. */
  readonly log: (level: 'info' | 'warn' | 'error', line: string) => void;
  /** For tests: a disk that fails, small segments, short pauses. */
  readonly seams?: JournalSeams;
}

/** An owner says so often that it lives. */
const RENEW_MS = 5_000;

/** Refused messages are kept for 90 days, and up to an eighth of `maxBytes`. */
const REFUSED_MAX_AGE_MS = 90 * 24 * 3_600_000;
const REFUSED_SHARE = 8;

/**
 * Opens the journal. A directory given by hand that cannot be used throws `journal-unusable`; without the default one
 * the journal is degraded and goes on trying.
 */
export function openJournal(wiring: JournalWiring): Journal {
  const journal = new DiskJournal(wiring);
  journal.start();
  return journal;
}

class DiskJournal implements Journal {
  readonly #wiring: JournalWiring;
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
    const files: Files = { ...diskFiles, ...seams.files };
    this.#setAside = new SetAside(path);
    this.#notices = new Notices(wiring);
    const onCorrupt = (count: number): void => this.#noteCorrupt(count);
    const reader = new BodyReader(files);
    const lease = new Lease({
      path,
      onError,
      onOpened: () => {
        this.#notices.tellFileSystem();
        // What comes after `close` opened a directory of its own.
        if (this.#closing !== undefined) this.#startRenewal();
      },
      onLost: (how, directory) => this.#noteLost(how, directory),
      onFailed: (error) => this.#engine.health.block(reasonOf(error)),
    });
    const orphans = new Orphans({
      path,
      lease,
      reader,
      setAside: this.#setAside,
      onError,
      onCorrupt,
      onRefused: (error) => this.#notices.tellUntrusted(error),
      // Streams that waited for room can be written now.
      onFreed: () => this.#engine.syncer.soon(),
    });
    const otherBytes = (): number => orphans.bytes + this.#setAside.bytes;
    const onDamaged = (segment: string, how: 'deleted' | 'truncated'): void =>
      this.#notices.tellDamage(segment, how);
    const told = { onDamaged, onWrite, onDegraded, onError, onCorrupt };
    this.#lease = lease;
    this.#orphans = orphans;
    this.#engine = new WriteEngine({
      settings,
      files,
      seams,
      lease,
      setAside: this.#setAside,
      otherBytes,
      ...told,
    });
    this.#backlog = new OwnBacklog({
      path,
      reader,
      onCorrupt,
      onError,
      streams: this.#engine.streams,
      instance: () => lease.current?.id ?? '',
    });
  }

  /** Opens the directory, and renews it from then on. */
  start(): void {
    const { settings, onError } = this.#wiring;
    const { path, given } = settings;
    try {
      this.#lease.open();
    } catch (error) {
      // A full disk is emptied by saving what is on it; so that is started, and the rest is tried again.
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
    this.#refreshSetAside();
    this.#boundRefused();
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
    if (log instanceof Log) this.#engine.streams.finish(log);
  }

  async refuse(log: StreamLog, message: Message, sqlstate: string): Promise<boolean> {
    try {
      await writeRefused(this.#wiring.settings.path, message, sqlstate);
    } catch (error) {
      this.#wiring.onError(error);
      return false;
    }
    this.#boundRefused();
    this.settled(log);
    return true;
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
    return {
      entries: this.#engine.logs.onDisk.size + this.#orphans.count,
      bytes: this.#engine.segments.bytes + this.#orphans.bytes + this.#setAside.bytes,
      capacityBytes: maxBytes,
      oldestEntryMs: this.#oldestMs(),
      degraded: this.#engine.health.reason,
      corruptRecords: this.#corruptRecords,
      fileSystem: this.#notices.fileSystem ?? 'disk',
      ephemeral,
      problems: this.#problems(),
    };
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
    this.#refreshSetAside();
    this.#engine.sealQuiet();
    // A round knows what to do about a directory that was taken.
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
    const unreadable = this.#orphans.unread + this.#backlog.unread;
    const { count: damaged } = this.#setAside;
    const counts = {
      unreadable,
      damaged,
      untrusted: this.#notices.untrusted,
      poisonous: this.#orphans.poisonous,
    };
    return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
  }

  /** Keeps `refused/` in its bounds; what had to go is told. */
  #boundRefused(): void {
    const { settings, log, onError } = this.#wiring;
    const { path, maxBytes } = settings;
    try {
      const bound = { maxAgeMs: REFUSED_MAX_AGE_MS, maxBytes: maxBytes / REFUSED_SHARE };
      const gone = boundRefused(path, bound);
      if (gone > 0)
        log('error', `${gone} refused messages were too old or too many, and are deleted`);
    } catch (error) {
      onError(error);
    }
  }

  #refreshSetAside(): void {
    try {
      this.#setAside.refresh();
    } catch (error) {
      this.#wiring.onError(error);
    }
  }

  #noteCorrupt(count: number): void {
    this.#corruptRecords += count;
    this.#wiring.onCorrupt(count);
  }

  #oldestMs(): number {
    // The first one was kept first.
    const [own] = this.#engine.streams.waiting;
    const ownMs = own === undefined ? 0 : Math.round(epochOf(systemClock, own.waitingSinceMs));
    const times = [ownMs, this.#orphans.oldestMs].filter((time) => time > 0);
    return times.length === 0 ? 0 : Math.min(...times);
  }
}
