/** Packages on disk, found as Node finds them: a package may be installed more than once; the importing directory decides which. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { coerce, satisfies, validRange } from 'semver';

/** A package that is installed. */
export interface Installed {
  readonly name: string;
  readonly version: string;
  /** Its real directory. */
  readonly path: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
  /** The range of Node versions that it supports; `undefined` if it declares none. */
  readonly node: string | undefined;
}

/** The package `name` that code in the directory `from` loads; `undefined` if there is none. */
export function findInstalled(name: string, from: string): Installed | undefined {
  for (let at = from; ; at = dirname(at)) {
    const found = readPackage(join(at, 'node_modules', name));
    if (found !== undefined || at === dirname(at)) return found;
  }
}

/** The package in a directory; `undefined` when there is none. */
export function readPackage(directory: string): Installed | undefined {
  try {
    const path = realpathSync(directory);
    // The types hold for a package that a registry has accepted; other fields are not read.
    const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest;
    const { name = '', version = '', peerDependencies = {}, engines } = manifest;
    return { name, version, path, peerDependencies, node: engines?.node };
  } catch {
    // Not there, or not a package: either way it cannot be loaded.
    return undefined;
  }
}

/**
 * Every copy of the package `name` that is installed for code in `from`, including those nested in other packages at any depth, and those
 * in the store of pnpm. In no order; each once.
 */
export function listCopies(name: string, from: string): readonly Installed[] {
  const found = new Map<string, Installed>();
  const seen = new Set<string>();
  const search = (modules: string): void => {
    const copy = readPackage(join(modules, name));
    if (copy !== undefined) found.set(copy.path, copy);
    for (const directory of packagesIn(modules)) {
      const path = realPathOf(directory);
      // A directory that is linked from several places is searched once.
      if (path === undefined || seen.has(path)) continue;
      seen.add(path);
      search(join(path, 'node_modules'));
    }
  };
  for (let at = from; ; at = dirname(at)) {
    search(join(at, 'node_modules'));
    if (at === dirname(at)) return [...found.values()];
  }
}

/** Directories of packages in a `node_modules`, those of pnpm's store among them; empty where there is none. */
function packagesIn(modules: string): readonly string[] {
  return namesIn(modules).flatMap((name) => {
    const path = join(modules, name);
    const isGroup = name.startsWith('@') || name === '.pnpm';
    return isGroup ? namesIn(path).map((member) => join(path, member)) : [path];
  });
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    // The directory does not exist, or is a file.
    return [];
  }
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    // A broken link.
    return undefined;
  }
}

/**
 * Whether `version` is in `range`; a pre-release counts as its release. True for a range that does not name versions (`latest`, a path),
 * because it cannot be checked.
 */
export function isInRange(version: string, range: string): boolean {
  const release = coerce(version);
  return release === null || validRange(range) === null || satisfies(release, range);
}

interface Manifest {
  readonly name?: string;
  readonly version?: string;
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly engines?: { readonly node?: string };
}
