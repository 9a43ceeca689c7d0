/** Every query of every panel, asked of a real Prometheus about a real app. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boards } from '../../../tools/dashboards/index.ts';
import { panelsOf, readDashboards } from './files.ts';
import { hasPrometheus, startLive, type Answer, type Live } from './live.ts';
import { fillIn } from './promql.ts';

/** Queries that have no answer in good health, with why. */
const MAY_BE_EMPTY = new Map(
  boards().boards.flatMap(({ uid, rows }) =>
    rows.flatMap(({ panels }) =>
      panels.flatMap(({ id, queries }) =>
        queries.map(({ emptyBecause }, index) => [`${uid} ${id} ${index}`, emptyBecause] as const),
      ),
    ),
  ),
);

/** As Grafana would fill them in for a scrape every second and the last minute. */
const VALUES = { $__rate_interval: '10s', $__range: '60s', $__interval: '1s' };

/** Longer than the longest wait that is built in: a rate over the day before the last 15 minutes, sixty times faster. */
const PATIENCE_MS = 120_000;

const asked = readDashboards().flatMap(({ dashboard }) =>
  panelsOf(dashboard).flatMap(({ id, title, targets }) =>
    targets.map((target, index) => ({
      at: `${dashboard.uid}: ${title} ${target.refId}`,
      expr: fillIn(target.expr, VALUES),
      target,
      empty: MAY_BE_EMPTY.get(`${dashboard.uid} ${id} ${index}`),
    })),
  ),
);

const installed = hasPrometheus();
if (!installed) process.stdout.write('no prometheus here: the panels are not asked\n');

describe.runIf(installed)('a panel of a live system', () => {
  let live: Live;
  beforeAll(async () => {
    live = await startLive();
  });
  afterAll(() => live.close());

  it.each(asked)(
    '$at has data, or states why it may be empty',
    async ({ expr, target, empty }) => {
      const ask = target.instant === true ? live.query : live.queryRange;
      const answers = empty === undefined ? await answered(() => ask(expr)) : await ask(expr);
      const numbers = answers.flatMap(({ value, values = [] }) =>
        [...values, ...(value === undefined ? [] : [value])].map(([, number]) => number),
      );
      // A quantile of nothing is NaN now and then; a panel of nothing else would be empty to the eye.
      const seen = numbers.filter((number) => number !== 'NaN');
      expect(seen.length > 0 || empty !== undefined).toBe(true);
      const labels = [...target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(
        ([, name = '']) => name,
      );
      const unnamed = answers.filter(({ metric }) => labels.some((name) => !metric[name]));
      expect(unnamed).toEqual([]);
    },
    PATIENCE_MS + 30_000,
  );

  it.each(asked.filter(({ target }) => target.exemplar === true))(
    '$at has exemplars with traces',
    async ({ expr }) => {
      expect(await answered(() => live.exemplars(expr))).not.toEqual([]);
    },
    PATIENCE_MS + 30_000,
  );

  it.each(
    readDashboards().flatMap(({ dashboard }) =>
      dashboard.annotations.list.map(({ name, expr }) => ({
        at: `${dashboard.uid}: ${name}`,
        expr,
      })),
    ),
  )('the query of the annotation $at is valid', async ({ expr }) => {
    expect(await live.query(fillIn(expr, VALUES))).toBeInstanceOf(Array);
  });
});

/** The first answer that is not empty and not NaN alone; after a while, the last one. */
async function answered<T>(ask: () => Promise<readonly T[]>): Promise<readonly T[]> {
  const givesUpAt = performance.now() + PATIENCE_MS;
  for (;;) {
    const answers = await ask();
    if (answers.some(saysSomething) || performance.now() > givesUpAt) return answers;
    await sleep(500);
  }
}

function saysSomething(answer: unknown): boolean {
  // A series has one value or several; anything else (an exemplar) speaks for itself.
  const { value, values } = answer as Answer;
  if (value === undefined && values === undefined) return true;
  return [...(values ?? []), ...(value === undefined ? [] : [value])].some(([, n]) => n !== 'NaN');
}
