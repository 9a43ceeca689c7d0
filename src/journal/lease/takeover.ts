/**
 * Finding the directories of dead processes and taking them: one atomic rename into the taker's own directory, which only
 * one process can win. A taker that dies leaves them inside its own, so whoever takes that takes them along.
 */
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isMissing } from '../../core/values.ts';
import { isOurDirectory } from '../ours.ts';
import { bootId, isDead } from './liveness.ts';
import { INSTANCE_NAME } from './owner-directory.ts';
import type { InstanceDirectory } from './owner-directory.ts';

const TAKEN = /^taken-/;

/** Directories under the journal's path whose owner is dead. None that is in doubt when the signal aborts. */
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
  // All at once: a look may take its time.
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

/** Puts a taken directory back under the journal's path: its messages are for another store. Throws what the disk throws. */
export function giveBack(path: string, directory: string): void {
  renameSync(directory, join(path, originalName(directory)));
}

/** A directory is called `taken-` and its owner's name once it was taken; ids must not depend on that. */
export function originalName(directory: string): string {
  return basename(directory).replace(TAKEN, '');
}

/** Everything taken so far, also what the dead had taken and not finished. */
export function takenDirectories(into: InstanceDirectory): readonly string[] {
  for (const name of taken(into.directory)) flatten(into.directory, name);
  return taken(into.directory).map((name) => join(into.directory, name));
}

/** A directory, and those that were taken into it, wherever they stand. */
export function withTaken(directory: string): readonly string[] {
  return [directory, ...taken(directory).flatMap((name) => withTaken(join(directory, name)))];
}

/** Brings what a dead taker had taken up to our own level, so that paths do not grow with every crash. */
function flatten(into: string, name: string): void {
  for (const inner of taken(join(into, name))) {
    if (existsSync(join(into, inner))) continue;
    renameSync(join(into, name, inner), join(into, inner));
    flatten(into, inner);
  }
}

/** Links that are called so are passed over: they lead elsewhere. */
function taken(directory: string): string[] {
  return readdirSync(directory).filter(
    (name) => TAKEN.test(name) && isOurDirectory(join(directory, name), () => {}),
  );
}
