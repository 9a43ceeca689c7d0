/**
 * The journal: what streams write ahead to, so that neither a dead process nor a dead database loses what a client has
 * seen. Here it meets the saver; how it writes, fsyncs, heals and recovers is said by the parts.
 */
import { LastchunkError } from '../core/errors.ts';
import type { Journal, JournalState } from './port.ts';
import { troubleOf } from './degraded.ts';
import type { Trouble } from './degraded.ts';
import { createEngine } from './engine.ts';
import type { Engine, Seams } from './engine.ts';
import { describeFileSystem, fileSystemOf } from './file-system.ts';
import type { FileSystem } from './file-system.ts';
import { Log } from './stream-log.ts';
import type { JournalSettings } from './options.ts';
import { createOwnBacklog } from './read/kept.ts';
import type { OwnBacklog } from './read/kept.ts';
import { createReader } from './read/reader.ts';
import { createRecovery } from './read/recovery.ts';
import type { Recovery } from './read/recovery.ts';
import { writeRefused } from './dead-letters.ts';
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
  const parts = assemble(wiring);
  const { engine, streams, recovery } = parts;
  start(engine, wiring);
  const renewal = setInterval(() => void renew(engine), RENEW_MS).unref();
  let closing: Promise<void> | undefined;

  return {
    open: (stream, body) => streams.open(stream, body),
    end: (log, ending) => streams.end(log, ending),
    keep: (log) => streams.keep(log),
    sync: (log) => sync(engine, log),
    settled(log) {
      if (log instanceof Log) streams.finish(log);
    },
    async refuse(log, message, sqlstate) {
      try {
        await writeRefused(wiring.settings.path, message, sqlstate);
      } catch (error) {
        wiring.onError(error);
        return false;
      }
      if (log instanceof Log) streams.finish(log);
      return true;
    },
    backlog: (limit) => parts.backlog.first(limit),
    recover: (signal) => recovery.entries(signal),
    state: () => stateOf(parts, wiring.settings),
    close() {
      clearInterval(renewal);
      closing ??= close(parts).catch(wiring.onError);
      return closing;
    },
  };
}

interface Parts {
  readonly engine: Engine;
  readonly streams: Streams;
  readonly recovery: Recovery;
  readonly backlog: OwnBacklog;
  /** What is found out on the way. */
  readonly facts: { corruptRecords: number; fileSystem: FileSystem | undefined };
}

function assemble({ settings, ...wiring }: JournalWiring): Parts {
  const { path } = settings;
  const { onError, onWrite, onDegraded } = wiring;
  const reader = createReader();
  const facts: Parts['facts'] = { corruptRecords: 0, fileSystem: undefined };
  const onCorrupt = (count: number): void => {
    facts.corruptRecords += count;
    wiring.onCorrupt(count);
  };
  const recovery = createRecovery({
    path,
    home: () => engine.residence.home(),
    reader,
    onError,
    onCorrupt,
    // Streams that waited for room can be written now.
    onFreed: () => engine.syncer.soon(),
  });
  const engine: Engine = createEngine({
    settings,
    onError,
    onCorrupt,
    onWrite,
    onDegraded,
    seams: wiring.seams ?? {},
    otherBytes: () => recovery.bytes,
    onHome() {
      const found = fileSystemOf(path);
      if (found === facts.fileSystem) return;
      facts.fileSystem = found;
      const { level, line } = describeFileSystem(path, found, settings.ephemeral);
      wiring.log(level, line);
    },
    onGone(gone) {
      for (const log of gone) streams.waiting.delete(log);
      recovery.forget();
    },
  });
  const streams: Streams = createStreams(engine, settings.flushMs);
  const backlog = createOwnBacklog({ path, reader, onCorrupt, streams });
  return { engine, streams, recovery, backlog, facts };
}

function stateOf(parts: Parts, settings: JournalSettings): JournalState {
  const { engine, streams, recovery, facts } = parts;
  return {
    entries: engine.writer.members.size + recovery.count,
    bytes: engine.segments.bytes + recovery.bytes,
    capacityBytes: settings.maxBytes,
    oldestEntryMs: oldestMs(streams, recovery),
    degraded: engine.condition.reason,
    corruptRecords: facts.corruptRecords,
    fileSystem: facts.fileSystem ?? 'disk',
    ephemeral: settings.ephemeral,
  };
}

function start(engine: Engine, { settings: { path, given }, onError }: JournalWiring): void {
  try {
    engine.residence.start();
  } catch (error) {
    if (given) {
      const why = error instanceof Error ? error.message : String(error);
      throw new LastchunkError(
        'journal-unusable',
        `\`journal\`: the directory ${JSON.stringify(path)} cannot be used (${why}); give one that this process may make and write`,
        { cause: error },
      );
    }
    onError(error);
    engine.condition.block(troubleOf(error));
  }
}

async function renew({ residence, syncer }: Engine): Promise<void> {
  // A round knows what to do about a directory that was taken.
  if (!(await residence.renew())) await syncer.request();
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

async function close({ engine, streams, recovery }: Parts): Promise<void> {
  const { condition, writer, segments, syncer } = engine;
  await syncer.request();
  streams.close();
  syncer.stop();
  condition.stop();
  recovery.forget();
  // What waits stays for the next start; without it the directory goes.
  segments.forget(writer.members.size === 0);
  await engine.residence.home()?.release();
}
