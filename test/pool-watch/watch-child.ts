/** Loses one client and keeps another, with a collector that can be called. Run by watch.test.ts. */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { lastchunk, type PoolFinding } from '../../src/index.ts';
import { until } from '../support/until.ts';

const findings: PoolFinding[] = [];
const keep = lastchunk({ observer: { onPoolFinding: (finding) => void findings.push(finding) } });
const pool = new pg.Pool({ connectionString: process.argv[2], max: 3 });
keep.watchPool(pool, { name: 'app', heldMs: 60_000 });

const lost = async () => pool.connect();
await (await lost()).query('SELECT 1');
const { release } = await pool.connect();
const returned = await pool.connect();
returned.release();
await until('it is found', () => {
  globalThis.gc?.();
  return findings.length > 0;
});
for (let round = 0; round < 20; round += 1) {
  globalThis.gc?.();
  await new Promise((resolve) => setTimeout(resolve, 5));
}
// Whoever keeps only `release` can still release.
release();
const lineAt = (place: string): string | undefined => {
  const [, file = '', line = ''] = /^(.*):(\d+)$/.exec(place) ?? [];
  return readFileSync(file, 'utf8').split('\n')[Number(line) - 1]?.trim();
};
const { totalCount, idleCount } = pool;
const told = findings.map(({ pool, kind, place }) => ({ pool, kind, line: lineAt(place) }));
process.stdout.write(JSON.stringify({ lost: totalCount - idleCount, findings: told }));
process.exit(0);
