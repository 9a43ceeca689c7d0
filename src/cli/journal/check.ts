/** `lastchunk journal verify` and `dump`: show the state of a journal on disk, without any text of users. */
import { basename, dirname, join } from 'node:path';
import { errorTypeOf } from '../../core/errors.ts';
import { bad } from '../../core/options.ts';
import {
  dumpSegment,
  type DumpedRecord,
  type OnUnread,
  type SegmentCheck,
  verifyJournal,
} from '../../journal/index.ts';
import type { Io } from '../io.ts';
import { columns, printable } from '../terminal.ts';

/** Checks a journal, prints a line for each segment, and resolves to the exit code: 1 if anything is damaged or cannot be read. */
export async function verify(dir: string, io: Io): Promise<number> {
  const unread = tellUnread(io);
  const { segments, waiting, withGap } = await verifyJournal(dir, unread.tell);
  const rows = segments.map((one) => [
    printable(join(basename(dirname(one.path)), basename(one.path))),
    stateOf(one),
    one.owner,
    String(one.records),
    String(one.bytes),
  ]);
  if (rows.length > 0) {
    io.stdout.write(columns([['SEGMENT', 'STATE', 'OWNER', 'RECORDS', 'BYTES'], ...rows]));
  }
  const damaged = segments.reduce((sum, one) => sum + one.damaged, 0);
  io.stdout.write(
    `${segments.length} segments, ${damaged} damaged places; ${waiting} messages wait, ${withGap} of them with a gap\n`,
  );
  return damaged + withGap + unread.count === 0 ? 0 : 1;
}

function stateOf({ damaged, isTorn }: SegmentCheck): string {
  if (damaged > 0) return `${damaged} damaged`;
  return isTorn ? 'torn' : 'whole';
}

/** Prints a segment, a line for each record, and resolves to the exit code: 1 if some bytes are not a valid record. */
export async function dump(file: string, io: Io): Promise<number> {
  let records: readonly DumpedRecord[];
  try {
    records = await dumpSegment(file);
  } catch (error) {
    if (error instanceof TypeError) throw bad(error.message);
    throw error;
  }
  const rows = records.map(({ at, kind, stream, offset, bytes, facts }) => [
    String(at),
    kind,
    stream === undefined ? '-' : String(stream),
    offset === undefined ? '-' : String(offset),
    String(bytes),
    Object.entries(facts)
      .map(([name, value]) => `${name}=${printable(value)}`)
      .join(' '),
  ]);
  io.stdout.write(columns([['AT', 'KIND', 'STREAM', 'OFFSET', 'BYTES', 'FACTS'], ...rows]));
  return records.some(({ kind }) => kind === 'damaged') ? 1 : 0;
}

/** Reports on stderr which parts of the journal cannot be read, and counts them. */
export function tellUnread(io: Io): { readonly tell: OnUnread; count: number } {
  const unread = {
    count: 0,
    tell: (path: string, error: unknown): void => {
      unread.count += 1;
      const says = `${printable(path)} is not read (${errorTypeOf(error)}), so what it holds is not seen`;
      io.stderr.write(`lastchunk journal: ${says}\n`);
    },
  };
  return unread;
}
