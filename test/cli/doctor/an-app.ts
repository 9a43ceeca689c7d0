/** Apps on disk, and the doctor that looks at them. */
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { runDoctor } from '../../../src/cli/doctor/doctor.ts';
import { ROOT } from '../../support/imports.ts';

/** What an app that is well has. */
export const HEALTHY = [
  '@opentelemetry/api',
  '@opentelemetry/sdk-node',
  '@opentelemetry/instrumentation-http',
  'express',
  'pg',
  'prom-client',
];

/** Packages by name: a real one of the repository, or a package.json of its own. */
export type Packages = Readonly<Record<string, 'real' | object>>;

/** All of them real. */
export const real = (names: readonly string[]): Packages =>
  Object.fromEntries(names.map((name) => [name, 'real' as const]));

/** An app with lastchunk and these packages; gone at the end of the test. */
export async function anApp(packages: Packages = real(HEALTHY)): Promise<string> {
  const app = await mkdtemp(join(tmpdir(), 'lastchunk-app-'));
  onTestFinished(() => rm(app, { recursive: true, force: true }));
  await mkdir(join(app, 'node_modules/lastchunk'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(app, 'node_modules/lastchunk/package.json'));
  for (const [name, what] of Object.entries(packages)) await install(app, name, what);
  return app;
}

/** Puts a package into an app. */
export async function install(app: string, name: string, what: 'real' | object): Promise<void> {
  const target = join(app, 'node_modules', name);
  await mkdir(dirname(target), { recursive: true });
  if (what === 'real') return symlink(join(ROOT, 'node_modules', name), target);
  await mkdir(target);
  await writeFile(join(target, 'package.json'), JSON.stringify({ name, ...what }));
}

/** Runs the doctor; `env` holds nothing else. */
export async function doctor(
  app: string,
  argv: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
) {
  let stdout = '';
  const io = {
    stdout: { write: (text: string) => (stdout += text) },
    stderr: { write: (text: string) => (stdout += `stderr: ${text}`) },
    env,
  };
  const exitCode = await runDoctor(['--app', app, ...argv], io);
  return { exitCode, lines: stdout.trimEnd().split('\n') };
}
