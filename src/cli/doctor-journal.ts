/** Whether the journal's directory can be written, and whether what is in it will be there after a crash. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type FileSystem, fileSystemOf } from '../journal/fs.ts';
import { type Finding, wrong } from './doctor-finding.ts';

/** Examines the directory, an absolute path, or the place where it would be made; leaves nothing behind. */
export function examineJournal(path: string, ephemeral: boolean): readonly Finding[] {
  let place = path;
  while (!existsSync(place)) place = dirname(place);
  try {
    // Permission bits say nothing of a read-only mount or of root: only writing tells.
    const probe = mkdtempSync(join(place, '.lastchunk-doctor-'));
    try {
      writeFileSync(join(probe, 'probe'), 'x', { flush: true });
    } finally {
      rmSync(probe, { recursive: true });
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const says = `the journal's directory ${path} cannot be written (${code})`;
    return [
      wrong('journal', says, 'give another one with the option `journal`, or mend its rights'),
    ];
  }
  return describeKind(path, fileSystemOf(place), ephemeral);
}

/** What a kind of file system means for a journal. */
export function describeKind(
  path: string,
  kind: FileSystem,
  ephemeral: boolean,
): readonly Finding[] {
  switch (kind) {
    case 'disk':
      return [];
    case 'overlay':
    case 'tmpfs':
      if (ephemeral) return [];
      return [
        wrong(
          'journal',
          `the journal's directory ${path} is on ${kind}: what it holds is gone with the container or the machine`,
          'mount a volume there, or say `ephemeral: true` (here: --ephemeral)',
        ),
      ];
    case 'network':
      return [
        wrong(
          'journal',
          `the journal's directory ${path} is on a network file system, where ownership and fsync are not promised`,
          'put it on a local disk',
        ),
      ];
  }
}
