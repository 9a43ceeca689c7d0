/** Packages on disk, found as Node finds them: a package may be installed more than once, and who asks decides. */
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
  /** The Nodes that it is made for; `undefined` when it does not say. */
  readonly node: string | undefined;
}

/** The package `name` as code in the directory `from` gets it; `undefined` when there is none. */
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
    // Written by npm from what a registry has accepted; what else it holds is not read.
    const manifest = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Manifest;
    const { name = '', version = '', peerDependencies = {}, engines } = manifest;
    return { name, version, path, peerDependencies, node: engines?.node };
  } catch {
    // Not there, or not a package: either way it cannot be loaded.
    return undefined;
  }
}

/** Names of the packages of one scope beside which code in `from` is installed. */
export function listScope(scope: string, from: string): readonly string[] {
  try {
    return readdirSync(join(from, 'node_modules', scope)).map((name) => `${scope}/${name}`);
  } catch {
    // No package of that scope is installed.
    return [];
  }
}

/**
 * Whether `version` is in `range`, a pre-release counting as its release. True for a range that is not one of versions
 * (`latest`, a path): nothing is claimed about it.
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
