/** A journal that a crash or a disk has damaged: what can be read is saved, what is missing is counted and never called whole. */
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { listen, startApp } from '../support/child-process.ts';
import { readDeltas } from '../support/frames.ts';
import { createFullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

const IDS = ['1', '2', '3'];

describe('the journal of a killed process', () => {
  it('with a segment cut in the middle of a record: every stream up to the cut is saved, and one damage is reported', async () => {
    const { fixture, clients, spoken } = await crash(async (file) => {
      await truncate(file, (await readFile(file)).length - 7);
    });
    const rows = await fixture.rows();
    expect(rows.map((row) => String(row.conversation_id)).toSorted()).toEqual(IDS);
    for (const row of rows) {
      expect(row).toMatchObject({ outcome: 'interrupted', side: 'server', complete: false });
      expect(spoken(String(row.conversation_id)).startsWith(row.content)).toBe(true);
      // At most one record is gone, which holds what one stream said in one tick: five tokens.
      const seen = readDeltas(clients.get(String(row.conversation_id))?.text ?? '');
      expect(row.content.length).toBeGreaterThan(seen.length - 5 * 'token 1.1000 '.length);
    }
    await expectTold(fixture);
  });

  it('with one flipped bit: the others are whole, that stream lacks the damaged record, and one damage is reported', async () => {
    const { fixture, clients, spoken } = await crash(async (file) => {
      const bytes = await readFile(file);
      const at = bytes.indexOf('token 2.50 ');
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await writeFile(file, bytes);
    });
    const rows = await fixture.rows();
    expect(rows.map((row) => String(row.conversation_id)).toSorted()).toEqual(IDS);
    for (const { conversation_id, content, complete, outcome } of rows) {
      expect([outcome, complete]).toEqual(['interrupted', false]);
      const seen = readDeltas(clients.get(String(conversation_id))?.text ?? '');
      const isHurt = conversation_id === '2';
      expect(content.includes('token 2.50 ')).toBe(false);
      expect(content.startsWith(seen)).toBe(!isHurt);
      const start = spoken(String(conversation_id)).slice(0, 400);
      expect(content.startsWith(start)).toBe(true);
    }
    await expectTold(fixture);
  });
});

/** Streams, a SIGKILL, a damage to the segment, and the instance that comes next and recovers all of them. */
async function crash(damage: (segment: string) => Promise<void>) {
  const connectionString = await database.newDatabase();
  const journal = await mkdtemp(join(tmpdir(), 'lastchunk-damaged-'));
  onTestFinished(() => rm(journal, { recursive: true, force: true }));
  const app = await startApp(connectionString, journal);
  const clients = new Map(IDS.map((id) => [id, listen(`${app.url}/chat/${id}`)]));
  await until('they have read enough', () =>
    [...clients.values()].every(({ text }) => text.includes('.120 ')),
  );
  await app.kill();
  await until('all clients are cut off', () => [...clients.values()].every(({ over }) => over));
  const files = await readdir(journal, { recursive: true });
  const segments = files.filter((name) => name.endsWith('.segment')).toSorted();
  await damage(join(journal, segments.at(-1) ?? ''));
  const same = { ...database, newDatabase: () => Promise.resolve(connectionString) };
  const fixture = await createFullFixture(same, spans, { journal });
  await until('all are recovered', async () => {
    const scrape = await fixture.scrape();
    return scrape.sum('lastchunk_journal_recovered_total', { result: 'saved' }) === IDS.length;
  });
  const spoken = (id: string): string => {
    const tokens = Array.from({ length: 100_000 }, (_, token) => `token ${id}.${token} `);
    return tokens.join('');
  };
  return { fixture, clients, spoken };
}

async function expectTold(fixture: Awaited<ReturnType<typeof crash>>['fixture']): Promise<void> {
  expect((await fixture.scrape()).sum('lastchunk_journal_corrupt_records_total')).toBe(1);
  const errors = fixture.logbook.errors();
  expect(errors).toHaveLength(1);
  expect(errors[0]).toContain('damaged records in the journal');
  expect(fixture.logbook.lines.filter(({ text }) => text.includes('token'))).toEqual([]);
  expect(fixture.recorded.internalErrors).toEqual([]);
}
