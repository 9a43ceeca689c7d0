/** More answers than the heap holds: nothing is lost, and nothing is called lost that is not. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import type { MemoryReport } from './memory-child.ts';

let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

describe('under a heap of 512 MiB', () => {
  it.each([
    ['twenty answers of 20 MB at once', 'large'],
    ['two thousand answers of 200 KB that their clients have left', 'abandoned'],
  ])(
    '%s are all in the database, complete',
    async (_, scenario) => {
      const script = fileURLToPath(new URL('memory-child.ts', import.meta.url));
      const url = await database.newDatabase();
      const args = ['--max-old-space-size=512', '--import', 'tsx', script, url, scenario];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      onTestFinished(() => void child.kill('SIGKILL'));
      const [printed, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
      expect(code).toBe(0);
      // Printed by the script next to this file.
      const report = JSON.parse(printed) as MemoryReport;
      const { saved = 0, journaled = 0, ...other } = report.results;
      expect(report).toMatchObject({ rows: report.answers, whole: report.answers });
      expect([saved + journaled, other]).toEqual([report.answers, {}]);
      expect(report.internalErrors).toEqual([]);
      expect(report.captureBytes).toBe(0);
    },
    300_000,
  );
});
