/** A journal in a directory of its own, streams to write into it, and what it says about itself. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from 'vitest';
import type { Ending, Journal, JournalEntry } from '../../src/journal/port.ts';
import { openJournal, resolveJournalOptions } from '../../src/journal/index.ts';
import type { DiskJournal, JournalOption, JournalWiring } from '../../src/journal/index.ts';
import type { OpenedStream, Piece, StreamLog } from '../../src/core/save-port.ts';
import { ending, stream } from './support-data.ts';

export { ending, stream } from './support-data.ts';

const cleanups: (() => unknown)[] = [];

/** Runs after the test, last in, first out. */
export function afterwards(cleanup: () => unknown): void {
  cleanups.push(cleanup);
}

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** An empty directory that goes after the test. */
export function emptyDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'journal-'));
  afterwards(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export interface Opened {
  readonly journal: DiskJournal;
  readonly errors: unknown[];
  readonly degraded: (string | undefined)[];
  readonly lines: string[];
  readonly writes: number[];
  readonly directory: string;
  corrupt(): number;
}

/** A journal at `path` (at the default one without), closed after the test. */
export function open(
  path: string | undefined,
  options: Exclude<JournalOption, string | false> = {},
  seams: JournalWiring['seams'] = {},
  takesForeign = false,
): Opened {
  const settings = resolveJournalOptions({
    ...(path !== undefined && { path }),
    fsyncMs: 1,
    ...options,
  });
  if (settings === undefined) throw new Error('there is a journal');
  const seen = { errors: [], degraded: [], lines: [], writes: [] } as Omit<
    Opened,
    'journal' | 'corrupt' | 'directory'
  >;
  let corrupt = 0;
  const journal = openJournal({
    settings,
    onError: (error) => seen.errors.push(error),
    onWrite: (seconds) => seen.writes.push(seconds),
    onCorrupt: (count) => (corrupt += count),
    onDegraded: (reason) => seen.degraded.push(reason),
    log: (_level, line) => seen.lines.push(line),
    seams,
    takesForeign,
  });
  afterwards(() => journal.close());
  return { journal, ...seen, directory: journal.directory ?? '', corrupt: () => corrupt };
}

/** A stream that says things, as a capture does: first into its own memory, then into the log. */
export interface Speaker {
  readonly opened: OpenedStream;
  readonly log: StreamLog;
  readonly said: readonly Piece[];
  say(piece: Piece, now?: boolean): void;
  end(more?: Partial<Ending>): void;
}

export function speaker(
  journal: Journal,
  n: number | string,
  more: Partial<OpenedStream> = {},
): Speaker {
  const opened = stream(n, more);
  const said: Piece[] = [];
  const log = journal.open(opened, { pieces: said });
  return {
    opened,
    log,
    said,
    say(piece, now = false) {
      said.push(piece);
      log.append(piece, 'tick');
      if (now && log.ahead) log.flush();
    },
    end: (facts) => journal.end(log, ending(opened, facts)),
  };
}

/** A message as it came back. */
export interface Back {
  readonly id: string;
  readonly text: string;
  readonly entry: JournalEntry;
}

export async function readBack(entry: JournalEntry): Promise<Back> {
  return { id: entry.opened.id, text: textOf(await entry.body()), entry };
}

export function textOf(pieces: readonly Piece[]): string {
  const bytes = pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece));
  return Buffer.concat(bytes).toString('utf8');
}

/** Everything that dead processes left, in the order in which it comes; settled unless told otherwise. */
export async function recoverAll(journal: Journal, settle = true): Promise<Back[]> {
  const all: Back[] = [];
  for await (const entry of journal.recover(new AbortController().signal)) {
    all.push(await readBack(entry));
    if (settle) await entry.settle();
  }
  return all;
}

/** The texts by stream. */
export function texts(all: readonly Back[]): Record<string, string> {
  return Object.fromEntries(all.map(({ id, text }) => [id, text]));
}

/** Directories of instances under a journal's path. */
export function instances(path: string): string[] {
  return readdirSync(path)
    .filter((name) => /^[0-9a-f]{16}$/.test(name))
    .map((name) => join(path, name));
}

/** The segments under a journal's path, those in taken directories too. */
export function segmentFiles(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.segment'))
    .map((name) => join(path, name))
    .sort();
}

/** For listings that are to read everything there is. */
export function refuseUnread(path: string, error: unknown): void {
  throw new Error(`${path} was not read`, { cause: error });
}

/** Whether any file under a path holds this text. */
export function onDisk(path: string, text: string): boolean {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .some((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(text));
}
