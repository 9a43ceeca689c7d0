/** `close()` in a process of its own that has nothing else to do: the promise keeps it alive, and says what was lost. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const CHILD = fileURLToPath(new URL('close-child.ts', import.meta.url));

test('close() keeps the process alive until its deadline and counts what was lost', () => {
  const { stdout, status } = spawnSync(process.execPath, ['--import', 'tsx', CHILD], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  const lines = stdout.trim().split('\n');
  expect(lines).toContain('{"seen":20}');
  expect(lines.at(-1)).toBe('{"saved":0,"journaled":0,"lost":20,"refused":0}');
  expect(lines.filter((line) => line === 'lastchunk: message lost')).toHaveLength(20);
  expect(status).toBe(0);
}, 60_000);
