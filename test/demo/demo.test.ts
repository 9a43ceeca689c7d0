/** The demo as its users run it: a process, its exit code, its figures, and what it leaves behind. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FAULTS, type FaultName } from '../../demo/faults.ts';
import type { Result } from '../../demo/results.ts';

/** Everything the demo writes to the temporary directory lands here. */
let temporary: string;
let files: string;
beforeEach(async () => {
  temporary = await mkdtemp(join(tmpdir(), 'demo-test-'));
  files = await mkdtemp(join(tmpdir(), 'demo-test-files-'));
  // PostgreSQL, which may run as another user, must be able to go through it.
  await chmod(temporary, 0o755);
});
afterEach(async () => {
  await rm(temporary, { recursive: true, force: true });
  await rm(files, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  /** Everything said so far. */
  output(): string;
}

function start(...flags: string[]): Run {
  const child = spawn(process.execPath, ['--import', 'tsx', 'demo/main.ts', ...flags], {
    env: { ...process.env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  return { child, output: () => output };
}

/** Waits for its end; what it said is the error when the exit code is another. */
async function ends(run: Run, code: number): Promise<void> {
  const [actual] = await once(run.child, 'close');
  if (actual !== code)
    throw new Error(`exit code ${String(actual)}, not ${code}:\n${run.output()}`);
}

/** Waits until it has said so; rejects with what it said instead when it ends first. */
function said(run: Run, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => void (run.output().includes(text) && resolve());
    run.child.stdout?.on('data', look);
    run.child.once('close', () => reject(new Error(run.output())));
    look();
  });
}

/** What the demo and its server left in the temporary directory; tsx keeps its cache there. */
async function leftovers(): Promise<string[]> {
  return (await readdir(temporary)).filter((name) => name.startsWith('lastchunk'));
}

describe('npm run demo', () => {
  it('loses nothing on the guarded route, and reports what the naive route loses', async () => {
    const json = join(files, 'figures.json');
    const run = start('--streams', '22', '--seed', '11', '--json', json);
    await ends(run, 0);

    // What JSON gives back is what `run.ts` writes.
    const figures = JSON.parse(await readFile(json, 'utf8')) as { results: readonly Result[] };
    expect(figures).toMatchObject({ seed: 11, streams: 22, failures: [] });
    const loss = figures.results.map(({ fault, streams, routes: { naive, guarded } }) => [
      fault,
      streams,
      ALWAYS_LOST.has(fault) ? naive.lossPercent : 'some or none',
      guarded.lossPercent,
    ]);
    expect(loss).toEqual([
      ...FAULTS.map(({ name }) => [name, 2, ALWAYS_LOST.has(name) ? 100 : 'some or none', 0]),
      ['all', 22, 'some or none', 0],
    ]);
    for (const { title } of FAULTS) expect(run.output()).toContain(`\n${title} `);
    expect(run.output()).toContain('--seed 11');
    expect(await leftovers()).toEqual([]);
  }, 180_000);

  it('serves its metrics until it is interrupted, and then ends with its verdict', async () => {
    const run = start('--streams', '11', '--serve');
    await said(run, '/metrics');
    const url = /curl (\S+\/metrics)/.exec(run.output())?.[1] ?? '';
    const metrics = await (await fetch(url)).text();
    expect(metrics).toContain('lastchunk_saves_expected_total');
    run.child.kill('SIGINT');
    await ends(run, 0);
    expect(await leftovers()).toEqual([]);
  }, 180_000);

  it('stops in the middle of a run and cleans up when it is interrupted', async () => {
    const run = start('--streams', '90');
    await said(run, 'clients leave');
    run.child.kill('SIGINT');
    await ends(run, 130);
    expect(await leftovers()).toEqual([]);
  });

  it('refuses an unknown flag before it starts anything', async () => {
    const run = start('--stream', '9');
    await ends(run, 2);
    expect(run.output()).toContain("Unknown option '--stream'");
    expect(run.output()).toContain('Usage: npm run demo');
    expect(await leftovers()).toEqual([]);
  });
});

/** What no handler of this kind survives; in the others it depends on the moment. */
const ALWAYS_LOST = new Set<string>([
  'upstream-reset',
  'upstream-stall',
  'pool-exhausted',
  'database-down',
] satisfies FaultName[]);
