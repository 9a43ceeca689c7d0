/**
 * Finds the directories of dead processes and takes them over: one atomic rename into the taker's own directory, in which only one
 * process succeeds. When a taker dies, they are inside its directory, so the next taker gets them with it.
 */
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isMissing } from '../../core/values.ts';
import { isOurDirectory } from '../ours.ts';
import { bootId, isDead } from './liveness.ts';
import { INSTANCE_NAME } from './owner-directory.ts';
import type { InstanceDirectory } from './owner-directory.ts';

const TAKEN = /^taken-/;

/** Names of the directories under the journal's path whose owner is dead. After an abort, those that are not decided count as alive. */
export async function deadInstances(
  path: string,
  own: string,
  onRefused: (error: unknown) => void,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const here = bootId();
  const others = readdirSync(path).filter(
    (name) =>
      INSTANCE_NAME.test(name) &&
      name !== own &&
      name !== `new-${own}` &&
      isOurDirectory(join(path, name), onRefused),
  );
  // In parallel: each check may take 15 s.
  const areDead = await Promise.all(
    others.map((name) => isDead(join(path, name), { here, signal })),
  );
  return others.filter((_, index) => areDead[index]);
}

/** Moves one directory into `into`. False when another process was faster. */
export function take(path: string, name: string, into: InstanceDirectory): boolean {
  try {
    renameSync(join(path, name), join(into.directory, `taken-${name}`));
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Moves a taken directory back under the journal's path: its messages are for another store. Throws the error of the file system. */
export function giveBack(path: string, directory: string): void {
  renameSync(directory, join(path, originalName(directory)));
}

/** The name that a directory had before it was taken over, without `taken-`: generated ids must not change by a takeover. */
export function originalName(directory: string): string {
  return basename(directory).replace(TAKEN, '');
}

/** All directories taken so far, also those that dead takers had taken and not finished. */
export function takenDirectories(into: InstanceDirectory): readonly string[] {
  for (const name of taken(into.directory)) flatten(into.directory, name);
  return taken(into.directory).map((name) => join(into.directory, name));
}

/** A directory, and all directories that were taken into it, at any depth. */
export function withTaken(directory: string): readonly string[] {
  return [directory, ...taken(directory).flatMap((name) => withTaken(join(directory, name)))];
}

/** Moves the directories inside a taken one up to our own level, so that paths do not grow with every crash. */
function flatten(into: string, name: string): void {
  for (const inner of taken(join(into, name))) {
    if (existsSync(join(into, inner))) continue;
    renameSync(join(into, name, inner), join(into, inner));
    flatten(into, inner);
  }
}

/** Names of the taken directories inside a directory. Skips links, and directories that other users may write. */
function taken(directory: string): string[] {
  return readdirSync(directory).filter(
    (name) => TAKEN.test(name) && isOurDirectory(join(directory, name), () => {}),
  );
}
