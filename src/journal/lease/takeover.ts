/**
 * Finding the directories of dead processes and taking them: one atomic rename into the taker's own home, which only
 * one process can win. A taker that dies leaves them inside its home, so whoever takes that takes them along.
 */
import { existsSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { HOME_NAME } from './owner-directory.ts';
import type { Home } from './owner-directory.ts';
import { bootId, isDead } from './liveness.ts';
import { isMissing } from '../../core/values.ts';

const TAKEN = /^taken-/;

/** Directories under the journal's path whose owner is dead. */
export async function deadHomes(path: string, own: string): Promise<readonly string[]> {
  const here = bootId();
  const dead: string[] = [];
  for (const name of readdirSync(path)) {
    if (!HOME_NAME.test(name) || name === own || name === `new-${own}`) continue;
    if (await isDead(join(path, name), here)) dead.push(name);
  }
  return dead;
}

/** Moves one directory into `home`. False when another process was faster. */
export function take(path: string, name: string, home: Home): boolean {
  try {
    renameSync(join(path, name), join(home.directory, `taken-${name}`));
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Everything taken so far, also what the dead had taken and not finished. */
export function takenDirectories(home: Home): readonly string[] {
  for (const name of taken(home.directory)) flatten(home.directory, name);
  return taken(home.directory).map((name) => join(home.directory, name));
}

/** Brings what a dead taker had taken up to our own level, so that paths do not grow with every crash. */
function flatten(into: string, name: string): void {
  for (const inner of taken(join(into, name))) {
    if (existsSync(join(into, inner))) continue;
    renameSync(join(into, name, inner), join(into, inner));
    flatten(into, inner);
  }
}

function taken(directory: string): string[] {
  return readdirSync(directory).filter((name) => TAKEN.test(name));
}
