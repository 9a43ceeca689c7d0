/**
 * `tsx test/consumers/main.ts`: packs lastchunk, installs it as an app does, and has every row of the table load it. Prints
 * the table and exits non-zero when a row fails. Needs a registry.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installNode, installSet, packLastchunk, SCRATCH } from '../matrix/install.ts';
import { ROOT } from '../support/imports.ts';
import { COMPILERS, isSince, PACKAGES, PROGRAMS, SETTINGS } from './rows.ts';

const FLAGS = [
  '--noEmit',
  '--strict',
  '--target',
  'es2022',
  '--types',
  'node',
  '--esModuleInterop',
];

/** Older compilers do not understand the newest declarations of other packages. */
const OTHERS_UNCHECKED = '--skipLibCheck';

const TIMEOUT_MS = 180_000;

const run = promisify(execFile);

const compilers = COMPILERS.map((version) => `typescript-${version}@npm:typescript@${version}`);
const folder = await installSet(await packLastchunk(), [...PACKAGES, ...compilers]);
const source = join(ROOT, 'test/consumers/program');
await cp(source, folder, { recursive: true });
await cp(join(source, 'program.mjs'), join(folder, 'typed.mts'));
// Under other names than in the repository, whose own tests they are not.
for (const runner of ['jest', 'vitest']) {
  await cp(join(source, `program.${runner}.js`), join(folder, `keeps.${runner}.test.js`));
}
for (const kind of ['cjs', 'esm'] as const) {
  await mkdir(join(folder, kind), { recursive: true });
  await cp(join(source, 'consumer.ts.txt'), join(folder, kind, 'consumer.ts'));
  const type = kind === 'cjs' ? 'commonjs' : 'module';
  await writeFile(join(folder, kind, 'package.json'), JSON.stringify({ type }));
}

let failures = 0;
for (const compiler of COMPILERS) {
  for (const { title, flags, files, since } of SETTINGS) {
    if (!isSince(compiler, since)) continue;
    const tsc = `node_modules/typescript-${compiler}/bin/tsc`;
    const sources = files.map((kind) => `${kind}/consumer.ts`);
    const args = [tsc, ...FLAGS, OTHERS_UNCHECKED, ...flags, ...sources];
    await row(`TypeScript ${compiler}, ${title}`, () =>
      run(process.execPath, args, { cwd: folder }),
    );
  }
}
for (const { title, command, bundle, nodes = [] } of PROGRAMS) {
  for (const major of ['', ...nodes]) {
    await row(major === '' ? title : `${title}, on Node ${major}`, async () => {
      const node = major === '' ? process.execPath : await installNode(major);
      const options = { cwd: folder, timeout: TIMEOUT_MS };
      const { stdout, stderr } = await run(node, [...command], options);
      const said = bundle === undefined ? stdout + stderr : await runAlone(join(folder, bundle));
      // A test runner says it by its exit code.
      if (!/kept|1 passed/.test(said)) throw new Error(said.slice(0, 500));
    });
  }
}
process.exitCode = failures === 0 ? 0 : 1;

/** A bundle in a folder where nothing is installed. */
async function runAlone(file: string): Promise<string> {
  const empty = join(SCRATCH, 'empty');
  await rm(empty, { recursive: true, force: true });
  await mkdir(empty, { recursive: true });
  const alone = join(empty, file.endsWith('.mjs') ? 'bundle.mjs' : 'bundle.cjs');
  await writeFile(alone, await readFile(file));
  const { stdout } = await run(process.execPath, [alone], { cwd: empty, timeout: TIMEOUT_MS });
  return stdout;
}

async function row(title: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
    process.stdout.write(`ok      ${title}\n`);
  } catch (error) {
    failures += 1;
    const { stdout = '', message } = error as Error & { readonly stdout?: string };
    process.stdout.write(`FAILED  ${title}: ${(stdout || message).trim().slice(0, 600)}\n`);
  }
}
