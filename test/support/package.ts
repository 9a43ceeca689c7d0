/** The built package in an empty folder, as after `npm install`, but without a registry. */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './imports.ts';

/** An app's folder. */
export interface AppFolder {
  readonly path: string;
  remove(): Promise<void>;
}

/**
 * Builds the source into a new folder's `node_modules/lastchunk` and links `packages`, and those that lastchunk depends on, from the
 * repository's `node_modules`. With `commonjs` the CommonJS build is included.
 */
export async function createAppFolder(
  packages: readonly string[],
  { commonjs = false }: { readonly commonjs?: boolean } = {},
): Promise<AppFolder> {
  const path = await mkdtemp(join(tmpdir(), 'lastchunk-app-'));
  const modules = join(path, 'node_modules');
  const built = join(modules, 'lastchunk');
  await mkdir(built, { recursive: true });
  await cp(join(ROOT, 'package.json'), join(built, 'package.json'));
  await cp(join(ROOT, 'dashboards'), join(built, 'dashboards'), { recursive: true });
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const project = join(ROOT, 'tsconfig.build.json');
  // `npm run check` checks the types; here that would only cost time.
  await run(process.execPath, [tsc, '-p', project, '--noCheck', '--outDir', join(built, 'dist')]);
  if (commonjs) {
    const out = join(built, 'dist/cjs');
    const older = join(ROOT, 'tsconfig.cjs.json');
    await run(process.execPath, [tsc, '-p', older, '--noCheck', '--outDir', out]);
    await writeFile(join(out, 'package.json'), '{ "type": "commonjs" }\n');
  }
  for (const name of ['eventsource-parser', 'uuid', ...packages]) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(ROOT, 'node_modules', name), join(modules, name));
  }
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

const run = promisify(execFile);
