/** The corpus, live: every stream through a guarded route, however it is cut, and held while the store does not answer. */
import { describe, expect, it } from 'vitest';
import { openClient } from '../../support/http-client.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve } from '../../support/test-server.ts';
import { until } from '../../support/until.ts';
import { compare, type Mismatch } from './compare.ts';
import { FIXTURES, type Fixture } from './fixture.ts';
import { corpusApp, type Cut, CUT_NAMES } from './serve.ts';

/** Sends the body by one route; returns what is wrong with the row. */
async function live(fixture: Fixture, path: string): Promise<readonly Mismatch[]> {
  const { keep, store, recorded } = createInMemoryInstance();
  const client = await openClient(await serve(corpusApp(keep, [fixture])), path);
  const { whole } = await client.over();
  if (!whole) return ['the response was not whole'];
  if (recorded.starts === 0) return ['it was not taken for a stream'];
  await recorded.ended();
  const unknown = recorded.facts.filter(({ unknownText }) => unknownText).length;
  return [
    ...compare(fixture, [...store.rows.values()][0]),
    ...counts('unknown', unknown, fixture.row?.unknown ?? 0),
    ...(store.asked.length > fixture.saves ? [`saved ${store.asked.length} times`] : []),
  ];
}

function counts(what: string, actual: number, expected: number | 'either'): readonly Mismatch[] {
  return expected === 'either' || actual === expected ? [] : [`${what} ${actual}, not ${expected}`];
}

/** The end of the answer, and its finish marker, stay back until the store has answered. */
async function held(fixture: Fixture, path: string): Promise<readonly Mismatch[]> {
  const { keep, store, recorded } = createInMemoryInstance();
  store.hold();
  const client = await openClient(await serve(corpusApp(keep, [fixture])), path);
  await until(
    'the store is asked, or the response is over',
    () => store.waiting > 0 || client.reply?.whole,
  );
  if (store.waiting === 0) return ['the store was not asked'];
  const early = client.text;
  const isOver = client.reply?.whole === true;
  store.answer();
  await client.over();
  await recorded.ended();
  if (isOver) return ['the response ended before the message was saved'];
  if (fixture.held === undefined || fixture.compressed) return [];
  if (!client.text.includes(fixture.held)) return [`there is no ${fixture.held}`];
  return early.includes(fixture.held)
    ? [`${fixture.held} was seen before the message was saved`]
    : [];
}

async function mismatches(fixture: Fixture): Promise<readonly string[]> {
  const wrong: string[] = [];
  const run = async (what: typeof live, cut: Cut, format: string): Promise<void> => {
    const found = await what(fixture, `/${cut}/${format}/${fixture.id}`);
    wrong.push(...found.map((one) => `${what.name} ${cut} ${format}: ${one}`));
  };
  const cuts = CUT_NAMES.filter((cut) => fixture.cuts.includes(cut));
  for (const cut of cuts) await run(live, cut, 'auto');
  for (const format of fixture.formats) await run(live, 'anywhere', format);
  if (fixture.row !== undefined) {
    for (const cut of cuts.filter((name) => name !== 'bytes')) await run(held, cut, 'auto');
  }
  return wrong;
}

describe('a stream of', () => {
  it.each(FIXTURES)('$id is stored as its client read it', async (fixture) => {
    const wrong = await mismatches(fixture);
    expect(wrong).toEqual([]);
  });
});

it('has at least 60 rows of 30 servers and SDKs, each with the source of its frames', () => {
  expect(FIXTURES.length).toBeGreaterThanOrEqual(60);
  const vendors = new Set(FIXTURES.map(({ id }) => id.split('-', 1)[0]));
  expect(vendors.size).toBeGreaterThanOrEqual(30);
  expect(FIXTURES.filter(({ source }) => source.length < 10)).toEqual([]);
});
