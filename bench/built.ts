/**
 * The package as its users get it, and the servers of the bench: compiled to plain JavaScript, so that no loader stands
 * between the bench and what it measures. Built anew for each run, into a directory of its own.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type * as index from '../src/index.ts';
import type * as observer from '../src/core/observer.ts';
import type * as saver from '../src/saver/index.ts';
import type * as journal from '../src/journal/index.ts';
import type * as postgres from '../src/postgres/index.ts';
import type * as table from '../src/postgres/table.ts';
import type * as redis from '../src/redis/index.ts';
import type * as prometheus from '../src/telemetry/prometheus.ts';

/** Where the compiled package lies. */
export interface Built {
  /** The directory that takes the place of `src`. */
  readonly directory: string;
  /** The directory that takes the place of `bench/servers`. */
  readonly servers: string;
  remove(): void;
}

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Compiles the package. Throws what the compiler says when it does not compile. */
export function build(): Built {
  const home = mkdtempSync(join(tmpdir(), 'lastchunk-bench-'));
  const remove = (): void => rmSync(home, { recursive: true, force: true });
  const modules = join(ROOT, 'node_modules');
  symlinkSync(modules, join(home, 'node_modules'));
  writeFileSync(join(home, 'package.json'), '{ "type": "module" }\n');
  const tsc = join(modules, '.bin', 'tsc');
  const flags = ['-p', 'bench/tsconfig.json', '--outDir', home];
  const { status, stdout } = spawnSync(tsc, flags, { cwd: ROOT, encoding: 'utf8' });
  if (status !== 0) {
    remove();
    throw new Error(`the package does not compile:\n${stdout}`);
  }
  return { directory: join(home, 'src'), servers: join(home, 'bench', 'servers'), remove };
}

/** The modules that the bench uses, by their path in `src`. */
interface Modules {
  'index.js': typeof index;
  'core/observer.js': typeof observer;
  'saver/index.js': typeof saver;
  'journal/index.js': typeof journal;
  'postgres/index.js': typeof postgres;
  'postgres/table.js': typeof table;
  'redis/index.js': typeof redis;
  'telemetry/prometheus.js': typeof prometheus;
}

/** `load` for one compiled package. */
export type Load = <Name extends keyof Modules>(name: Name) => Promise<Modules[Name]>;

/** Loads one compiled module. */
export async function load<Name extends keyof Modules>(
  directory: string,
  name: Name,
): Promise<Modules[Name]> {
  const module: unknown = await import(pathToFileURL(join(directory, name)).href);
  // It was compiled from the very file whose type this is.
  return module as Modules[Name];
}
