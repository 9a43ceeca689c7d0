/** The second try of a test: only after a stall of its process, and named. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ROOT } from './imports.ts';

const CONFIG = `
  import { SecondTries, STALLED } from '${ROOT}/test/support/second-tries.ts';
  export default {
    test: {
      include: ['fixture.ts'],
      retry: { count: 1, condition: STALLED },
      setupFiles: ['${ROOT}/test/support/stalls.ts'],
      reporters: ['verbose', new SecondTries()],
    },
  };
`;

const FIXTURE = `
  import { expect, it } from 'vitest';
  const tries = { stalled: 0, calm: 0 };
  it('stalled once', async () => {
    tries.stalled += 1;
    const untilMs = Date.now() + 300;
    while (tries.stalled === 1 && Date.now() < untilMs);
    expect(tries.stalled).toBe(2);
  });
  it('calm', () => {
    tries.calm += 1;
    expect(tries.calm).toBe(2);
  });
  it('always stalled', () => {
    const untilMs = Date.now() + 300;
    while (Date.now() < untilMs);
    expect.fail('as it always does');
  });
`;

it('a second try is made only after a stall, and is reported with its reason', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lastchunk-stalls-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  writeFileSync(join(directory, 'vitest.config.ts'), CONFIG);
  writeFileSync(join(directory, 'fixture.ts'), FIXTURE);
  const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
  const { stdout, status } = spawnSync(
    process.execPath,
    [vitest, 'run', '--root', directory, '--no-color'],
    { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } },
  );
  expect(stdout).toMatch(/✓ fixture.ts > stalled once/);
  expect(stdout).toMatch(/× fixture.ts > calm/);
  expect(stdout).toMatch(/× fixture.ts > always stalled/);
  expect(stdout.match(/passed at the second try: .*/g)).toEqual([
    expect.stringMatching(
      /fixture.ts > stalled once \[the event loop of this test was blocked for \d+ ms\]/,
    ),
  ]);
  expect(status).toBe(1);
});
