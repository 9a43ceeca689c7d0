/**
 * Folders as `npm install` leaves them, one for each set of packages. They are kept in the system's temporary directory:
 * a second run only renews lastchunk in them.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../support/imports.ts';

/** Where everything is. */
export const SCRATCH = join(tmpdir(), 'lastchunk-matrix');

const run = promisify(execFile);

/** Builds and packs lastchunk beside the source, so that nothing else that builds is in the way. Resolves to the tarball. */
export async function packLastchunk(): Promise<string> {
  const stage = join(SCRATCH, 'stage');
  await rm(stage, { recursive: true, force: true });
  await mkdir(stage, { recursive: true });
  for (const name of ['package.json', 'README.md', 'CHANGELOG.md', 'LICENSE']) {
    await cp(join(ROOT, name), join(stage, name));
  }
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const project = join(ROOT, 'tsconfig.build.json');
  await run(process.execPath, [tsc, '-p', project, '--outDir', join(stage, 'dist')]);
  const older = join(stage, 'dist/cjs');
  await run(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.cjs.json'), '--outDir', older]);
  await writeFile(join(older, 'package.json'), '{ "type": "commonjs", "sideEffects": false }\n');
  await npm(stage, ['pack', '--ignore-scripts', '--pack-destination', SCRATCH]);
  const [tarball] = (await readdir(SCRATCH)).filter((name) => /^lastchunk-.*\.tgz$/.test(name));
  if (tarball === undefined) throw new Error('npm pack made no tarball');
  return join(SCRATCH, tarball);
}

/**
 * A folder in which lastchunk and these packages are installed, with the programs of the matrix in it. A set that differs from
 * one that is there by a package or two is a copy of that, in which npm then changes the rest, as an upgrade would.
 */
export async function installSet(tarball: string, packages: readonly string[]): Promise<string> {
  const manifest = await readFile(join(ROOT, 'package.json'), 'utf8');
  const stamp = JSON.stringify([packages, manifest]);
  const folder = folderOf(stamp);
  if ((await readFile(join(folder, 'stamp'), 'utf8').catch(() => '')) === stamp) {
    const target = join(folder, 'node_modules/lastchunk');
    await rm(target, { recursive: true });
    await mkdir(target);
    await run('tar', ['-xzf', tarball, '-C', target, '--strip-components=1']);
  } else {
    await rm(folder, { recursive: true, force: true });
    const near = installed.find((set) => isNear(set.packages, packages));
    if (near === undefined) await mkdir(folder, { recursive: true });
    else await run('cp', ['-a', near.folder, folder]);
    const dependencies = Object.fromEntries(['lastchunk@file:' + tarball, ...packages].map(split));
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
    await npm(folder, ['install', '--prefer-offline']);
    await writeFile(join(folder, 'stamp'), stamp);
  }
  await cp(join(ROOT, 'test/matrix/program'), folder, { recursive: true });
  installed.push({ folder, packages });
  return folder;
}

/** What this run has installed. */
const installed: { readonly folder: string; readonly packages: readonly string[] }[] = [];

function folderOf(stamp: string): string {
  return join(SCRATCH, 'sets', createHash('sha256').update(stamp).digest('hex').slice(0, 12));
}

function isNear(one: readonly string[], other: readonly string[]): boolean {
  const missing = other.filter((name) => !one.includes(name)).length;
  return one.length === other.length && missing <= 2;
}

/** `name@version`, where a name may begin with an `@`. */
function split(spec: string): readonly [name: string, version: string] {
  const at = spec.indexOf('@', 1);
  return [spec.slice(0, at), spec.slice(at + 1)];
}

/** The binary of a major version of Node: the one that runs here, or the newest that npm has. */
export async function installNode(major: string): Promise<string> {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const folder = join(SCRATCH, 'nodes', major);
  const binary = join(folder, 'node_modules', name, 'bin/node');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n');
  await npm(folder, ['install', '--prefer-offline', `${name}@${major}`]);
  return binary;
}

async function npm(cwd: string, args: readonly string[]): Promise<void> {
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  await run('npm', [...args, ...quiet], { cwd });
}
