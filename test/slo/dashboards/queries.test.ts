import { describe, expect, it } from 'vitest';
import { PROCESS_METRICS } from '../../../tools/dashboards/scope.ts';
import { ruleGroups } from '../../../src/slo/rules.ts';
import { METRICS } from '../../../src/core/names/index.ts';
import type { Metric } from '../../../src/core/names/metric.ts';
import { panelsOf, readDashboards } from './files.ts';
import { fillIn, parse, type Selector } from './promql.ts';

const all = readDashboards().flatMap(({ dashboard }) => [
  ...panelsOf(dashboard).flatMap(({ title, targets }) =>
    targets.map(({ refId, expr, legendFormat }) => ({
      at: `${dashboard.uid}: ${title} ${refId}`,
      expr,
      legend: legendFormat,
    })),
  ),
  ...dashboard.annotations.list.map(({ name, expr }) => ({
    at: `${dashboard.uid}: annotation ${name}`,
    expr,
    legend: '',
  })),
  ...dashboard.templating.list
    .filter(({ type }) => type === 'query')
    .map(({ name, query }) => ({
      at: `${dashboard.uid}: variable ${name}`,
      expr: /^label_values\((.+), \w+\)$/.exec(query)?.[1] ?? query,
      legend: '',
    })),
]);

describe('every query', () => {
  it('is found: the two dashboards have more than sixty', () => {
    expect(all.length).toBeGreaterThan(60);
  });

  it.each(all)('$at is valid PromQL', ({ expr }) => {
    expect(parse(expr).mistakes).toEqual([]);
  });

  it.each(all)('$at selects existing series, by labels that they have', ({ expr }) => {
    expect(parse(expr).selectors.map(complaintAbout).filter(Boolean)).toEqual([]);
  });

  it.each(all)('$at groups by existing labels, and so does its legend', ({ expr, legend }) => {
    const { selectors, grouping } = parse(expr);
    const known = new Set(selectors.flatMap(({ metric }) => [...(labelsOf(metric)?.keys() ?? [])]));
    const named = [...legend.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label ?? '');
    expect([...grouping, ...named].filter((label) => !known.has(label))).toEqual([]);
  });
});

it('variables are filled in, but not the groups of a regular expression', () => {
  expect(fillIn('up{job=~"$job"}')).toBe('up{job=~".+"}');
  expect(fillIn('label_replace(up, "a", "$1", "job", "(.+)")')).toContain('"$1"');
});

it('an unknown series, an unknown label, and an impossible value are detected', () => {
  const complaints = (expr: string): string[] =>
    parse(expr).selectors.map(complaintAbout).filter(Boolean);
  expect(complaints('lastchunk_saved_total')).toEqual(['lastchunk_saved_total does not exist']);
  expect(complaints('job:lastchunk_saves:rate7m')).toHaveLength(1);
  expect(complaints('lastchunk_saves_total{outcome="failed"}')).toEqual([
    'lastchunk_saves_total has no label outcome',
  ]);
  expect(complaints('lastchunk_saves_total{result=~"lost|gone"}')).toEqual([
    'result of lastchunk_saves_total is never gone',
  ]);
});

/** What is wrong with a selector; empty for nothing. */
function complaintAbout({ metric, matchers }: Selector): string {
  const labels = labelsOf(metric);
  if (labels === undefined) return `${metric} does not exist`;
  for (const { label, value } of matchers) {
    const values = labels.get(label);
    if (!labels.has(label)) return `${metric} has no label ${label}`;
    if (values === undefined || value.startsWith('$')) continue;
    const strange = value.split('|').find((one) => !values.includes(one));
    if (strange !== undefined) return `${label} of ${metric} is never ${strange}`;
  }
  return '';
}

/** The labels of a series with the values that each may take, `undefined` for "any"; nothing for an unknown series. */
function labelsOf(name: string): ReadonlyMap<string, readonly string[] | undefined> | undefined {
  const target = { job: undefined, instance: undefined };
  const metrics: readonly Metric[] = Object.values(METRICS);
  const metric = metrics.find(
    (one) => name === one.prometheus || name === `${one.prometheus}_bucket`,
  );
  if (metric !== undefined) {
    const own = Object.entries(metric.labels).map(
      ([label, values]) => [label, 'atMost' in values ? undefined : values] as const,
    );
    const le = name.endsWith('_bucket') ? { le: undefined } : {};
    return new Map<string, readonly string[] | undefined>([
      ...Object.entries({ ...target, ...le }),
      ...own,
    ]);
  }
  if (RECORDED.has(name)) return new Map([['job', undefined]]);
  if (PROCESS_METRICS.some((one) => one === name)) return new Map(Object.entries(target));
  return name.startsWith('ALERTS') ? ALERTS : undefined;
}

const RECORDED = new Set(
  ruleGroups().flatMap(({ rules }) =>
    rules.flatMap((rule) => ('record' in rule ? [rule.record] : [])),
  ),
);

/** Prometheus's own series about alerts; an alert has the labels of what it is about. */
const ALERTS = new Map<string, readonly string[] | undefined>([
  ['alertname', undefined],
  ['alertstate', ['pending', 'firing']],
  ['severity', ['critical', 'warning', 'info']],
  // Made of the name by the query of the table.
  ['runbook', undefined],
  ['job', undefined],
  ['instance', undefined],
  ['route', undefined],
]);
