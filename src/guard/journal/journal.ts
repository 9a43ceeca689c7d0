/**
 * The journal: what streams write ahead to, so that neither a dead process nor a dead database loses what a client has
 * seen. Here it meets the saver; how it writes, fsyncs, heals and recovers is said by the parts.
 */
import { LastchunkError } from '../../errors.ts';
import type { Journal, JournalEntry } from '../journal-port.ts';
import type { Trouble } from './condition.ts';
import { createEngine } from './engine.ts';
import type { Engine, Seams } from './engine.ts';
import { ownEntry } from './entries.ts';
import { describeFileSystem, fileSystemOf } from './file-system.ts';
import type { FileSystem } from './file-system.ts';
import { Log } from './log.ts';
import type { JournalSettings } from './options.ts';
import { createReader } from './reader.ts';
import { createRecovery } from './recovery.ts';
import type { Recovery } from './recovery.ts';
import { writeRefused } from './refused-files.ts';
import { createStreams } from './streams.ts';
import type { Streams } from './streams.ts';

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
  readonly onDegraded: (reason: Trouble | undefined) => void;
  /** The one line about the file system. */
  readonly log: (level: 'info' | 'warn', line: string) => void;
  /** For tests: a disk that fails, small segments, short pauses. */
  readonly seams?: Seams;
}

/** An owner says so often that it lives. */
const RENEW_MS = 5_000;

/**
 * Opens the journal. A directory given by hand that cannot be used throws `journal-unusable`; without the default one
 * the journal is degraded and goes on trying.
 */
export function openJournal(wiring: JournalWiring): Journal {
  const { settings, onError } = wiring;
  const { path } = settings;
  const reader = createReader();
  let corruptRecords = 0;
  let fileSystem: FileSystem | undefined;

  const onCorrupt = (count: number): void => {
    corruptRecords += count;
    wiring.onCorrupt(count);
  };
  const recovery = createRecovery({ path, home: () => engine.home(), reader, onError, onCorrupt });
  const engine: Engine = createEngine({
    settings,
    seams: wiring.seams ?? {},
    reader,
    otherBytes: () => recovery.bytes,
    onWrite: wiring.onWrite,
    onDegraded: wiring.onDegraded,
    onError,
    onHome: () => {
      const found = fileSystemOf(path);
      if (found === fileSystem) return;
      fileSystem = found;
      const { level, line } = describeFileSystem(path, found, settings.ephemeral);
      wiring.log(level, line);
    },
    onTakenOver: (gone) => {
      for (const log of gone) streams.waiting.delete(log);
      recovery.forget();
    },
  });
  const streams = createStreams(engine, settings.flushMs);
  start(engine, settings);
  const renewal = setInterval(() => engine.renew(), RENEW_MS).unref();
  let closing: Promise<void> | undefined;

  return {
    open: streams.open,
    end: streams.end,
    keep: streams.keep,
    sync: (log) => sync(engine, log),
    settled: (log) => {
      if (log instanceof Log) streams.finish(log);
    },
    async refuse(log, message, sqlstate) {
      try {
        await writeRefused(path, message, sqlstate);
      } catch (error) {
        onError(error);
        return false;
      }
      if (log instanceof Log) streams.finish(log);
      return true;
    },
    backlog(limit) {
      const entries: JournalEntry[] = [];
      const using = { path, reader, finish: streams.finish, onCorrupt: () => onCorrupt(1) };
      for (const log of streams.waiting) {
        if (entries.length >= limit) break;
        const entry = ownEntry(log, using);
        if (entry !== undefined) entries.push(entry);
      }
      return entries;
    },
    recover: (signal) => recovery.entries(signal),
    state: () => ({
      entries: engine.encoder.members.size + recovery.count,
      bytes: engine.segments.bytes + recovery.bytes,
      capacityBytes: settings.maxBytes,
      oldestEntryMs: oldestMs(streams, recovery),
      degraded: engine.condition.reason,
      corruptRecords,
      fileSystem: fileSystem ?? 'disk',
      ephemeral: settings.ephemeral,
    }),
    close() {
      clearInterval(renewal);
      closing ??= close(engine, streams, recovery).catch(onError);
      return closing;
    },
  };
}

function start(engine: Engine, { path, given }: JournalSettings): void {
  try {
    engine.start();
  } catch (error) {
    if (given) {
      const why = error instanceof Error ? error.message : String(error);
      throw new LastchunkError(
        'journal-unusable',
        `\`journal\`: the directory ${JSON.stringify(path)} cannot be used (${why}); give one that this process may make and write`,
        { cause: error },
      );
    }
    engine.startLater(error);
  }
}

async function sync({ writer, syncer }: Engine, log: unknown): Promise<boolean> {
  if (!(log instanceof Log)) return false;
  writer.flush();
  if (syncer.has(log)) return true;
  await syncer.request();
  return syncer.has(log);
}

function oldestMs({ waiting }: Streams, recovery: Recovery): number {
  // The first one was kept first.
  const [own] = waiting;
  const times = [own?.waitingSinceMs ?? 0, recovery.oldestMs].filter((time) => time > 0);
  return times.length === 0 ? 0 : Math.min(...times);
}

async function close(engine: Engine, streams: Streams, recovery: Recovery): Promise<void> {
  const { condition, encoder, segments, syncer } = engine;
  await syncer.request();
  streams.close();
  syncer.stop();
  condition.stop();
  recovery.forget();
  // What waits stays for the next start; without it the directory goes.
  segments.forget(encoder.members.size === 0);
  await engine.home()?.release();
}
