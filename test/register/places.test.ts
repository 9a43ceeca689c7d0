/** What lies in the working directory is not loaded in place of what is installed with lastchunk. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createAppFolder } from '../support/package.ts';
import { startApp } from './running.ts';

it('the SDK is loaded from beside lastchunk, not from the working directory', async () => {
  const packages = ['api', 'sdk-node', 'instrumentation-http'].map(
    (one) => `@opentelemetry/${one}`,
  );
  const [app, elsewhere] = await Promise.all([
    createAppFolder(packages),
    mkdtemp(join(tmpdir(), 'lastchunk-elsewhere-')),
  ]);
  onTestFinished(async () => {
    await Promise.all([app.remove(), rm(elsewhere, { recursive: true, force: true })]);
  });
  const program = join(elsewhere, 'program');
  const planted = join(elsewhere, 'cwd/node_modules/@opentelemetry/sdk-node');
  await Promise.all([mkdir(program), mkdir(planted, { recursive: true })]);
  await writeFile(join(planted, 'index.js'), 'process.exit(99)');
  await writeFile(join(program, 'app.mjs'), 'console.log("started")');
  const register = join(app.path, 'node_modules/lastchunk/dist/register/index.js');
  const flags = ['--import', register, join(program, 'app.mjs')];
  const env = { OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' };
  const running = startApp(join(elsewhere, 'cwd'), env, flags);
  expect(await running.url).toBe('started');
  expect(await running.end()).toMatchObject({ code: 0 });
});
