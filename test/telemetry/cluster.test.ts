/** What the workers of a cluster say together, through the client's own aggregation over real processes. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { parseScrape, type Scrape } from '../support/scrape.ts';
import type { Duty } from './cluster-child.ts';

const SCRIPT = fileURLToPath(new URL('cluster-child.ts', import.meta.url));
const IDLE: Duty = { oldestEntryMs: 0, saves: 0, degraded: false };
const OLDEST = 'lastchunk_journal_oldest_entry_timestamp_seconds';

async function metricsOf(...duties: readonly Duty[]): Promise<Scrape> {
  const args = ['--import', 'tsx', SCRIPT, JSON.stringify(duties)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 60_000 });
  return parseScrape(stdout);
}

it('counters of workers are summed, and gauges are aggregated by their meaning', async () => {
  const scrape = await metricsOf(
    { oldestEntryMs: 1_700_000_005_000, saves: 2, degraded: false },
    { oldestEntryMs: 1_700_000_003_000, saves: 3, degraded: true },
    IDLE,
  );
  expect(scrape.sum('lastchunk_saves_total', { result: 'saved' })).toBe(5);
  expect(scrape.sum('lastchunk_saves_total')).toBe(scrape.sum('lastchunk_saves_expected_total'));
  expect(scrape.sum('lastchunk_save_duration_seconds_count')).toBe(5);
  expect(scrape.sum('lastchunk_journal_bytes')).toBe(300);
  expect(scrape.sum('lastchunk_journal_degraded')).toBe(1);
  expect(scrape.sum('lastchunk_build_info')).toBe(1);
  // The worker that has nothing does not hide what the others wait for.
  expect(scrape.sum(OLDEST)).toBe(1_700_000_003);
});

it('the oldest entry is absent if no worker has one', async () => {
  const scrape = await metricsOf(IDLE, IDLE);
  expect(scrape.has(OLDEST)).toBe(false);
  expect(scrape.has('lastchunk_id_conflicts_total')).toBe(true);
});
