/**
 * Rules and dashboards for series that an OpenTelemetry SDK has sent: the cases of the rules hold for them too, and every query
 * asks by labels that such series have. The labels are written down here once more, as Prometheus translates attributes.
 */
import { describe, expect, it } from 'vitest';
import { dashboards } from '../../tools/dashboards/index.ts';
import { ruleGroups, rulesYaml } from '../../src/slo/index.ts';
import { METRICS } from '../../src/core/names/index.ts';
import { type Dashboard, panelsOf } from './dashboards/files.ts';
import { parse } from './dashboards/promql.ts';
import type { Case } from './rules/case.ts';
import { CASES } from './rules/cases.ts';
import { failures, findPromtools } from './rules/promtool.ts';

const OTEL: Readonly<Record<string, string>> = {
  route: 'http_route',
  outcome: 'lastchunk_outcome',
  guarded: 'lastchunk_guarded',
  format: 'lastchunk_format',
  result: 'lastchunk_save_result',
  reason: 'lastchunk_reason',
  released: 'lastchunk_released',
  kind: 'lastchunk_kind',
  where: 'lastchunk_where',
  pool: 'lastchunk_pool',
  state: 'lastchunk_state',
  version: 'lastchunk_version',
  journal: 'lastchunk_journal',
  node: 'process_runtime_version',
  source: 'lastchunk_source',
};

/** A series as it arrives by OTLP: nobody has scraped anything, so there is no `up`. */
function sent(series: string): string | undefined {
  if (series.startsWith('up{')) return undefined;
  return series
    .replace(/^process_start_time_seconds/, 'lastchunk_process_start_timestamp_seconds')
    .replaceAll(/(\w+)="/g, (text, label: string) => (label in OTEL ? `${OTEL[label]}="` : text));
}

const asSent = (one: Case): Case => ({
  ...one,
  series: one.series.flatMap(({ series, values }) => {
    const name = sent(series);
    return name === undefined ? [] : [{ series: name, values }];
  }),
  firing: Object.fromEntries(
    Object.entries(one.firing).map(([at, alerts]) => [
      at,
      alerts
        .filter((alert) => alert !== 'LastchunkTargetDown warning')
        // Without `up` nobody knows whether it was taken away.
        .map((alert) => alert.replace(/^(LastchunkJobMetricsVanished) critical/, '$1 warning')),
    ]),
  ),
});

// The names are the same for each of them; the rules themselves are tried on all.
const promtools = findPromtools().slice(0, 1);
if (promtools.length === 0) {
  process.stdout.write('skipped: rules for OpenTelemetry (there is no program promtool)\n');
}

describe.each(promtools)('with promtool $version the rules for OpenTelemetry', (promtool) => {
  it.each(Object.keys(CASES))('fire as in the cases of %s', { timeout: 600_000 }, async (group) => {
    const cases = (CASES[group] ?? []).map(asSent);
    expect(await failures(promtool, rulesYaml({ source: 'otel' }), cases)).toBeUndefined();
  });
});

/** Of series as `prometheus()` shows them, and no attribute is called so. */
const OLD = new Set(Object.keys(OTEL));
const rules = ruleGroups({ source: 'otel' }).flatMap((group) => group.rules);
// Another test holds what is made against Grafana's own schema.
const boards = dashboards({ source: 'otel' }) as unknown as readonly Dashboard[];
const queries = [
  ...rules.map(({ expr }) => expr),
  ...boards.flatMap((board) => [
    ...panelsOf(board).flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...board.annotations.list.map(({ expr }) => expr),
  ]),
];

it.each(queries)('%s selects by attributes', (expr) => {
  const { mistakes, selectors, grouping } = parse(expr);
  expect(mistakes).toEqual([]);
  const labels = selectors.flatMap(({ matchers }) => matchers.map(({ label }) => label));
  expect([...labels, ...grouping].filter((label) => OLD.has(label))).toEqual([]);
  for (const { metric } of selectors) expect(STRANGERS).not.toContain(metric);
});

/** What only a Prometheus client or a scrape brings. */
const STRANGERS = [
  'up',
  'process_start_time_seconds',
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'nodejs_eventloop_lag_p99_seconds',
];

it('texts and legends use the names of attributes, but plain words stay unchanged', () => {
  const texts = [
    ...rules.flatMap((rule) => ('annotations' in rule ? [rule.annotations.description] : [])),
    ...boards.flatMap((board) => panelsOf(board).flatMap(({ targets }) => targets.map(legendOf))),
  ];
  const named = texts.flatMap((text) => [...text.matchAll(/\{\{(?: \$labels\.)?(\w+)/g)]);
  const labels = named.map(([, label = '']) => label);
  expect(labels.filter((label) => OLD.has(label))).toEqual([]);
  expect(labels).toContain('http_route');
  expect(texts.join()).toContain('route {{ $labels.http_route }} lost');
});

const legendOf = ({ legendFormat }: { readonly legendFormat: string }): string => legendFormat;

it('the variable for routes selects by the attribute, and keeps its name', () => {
  for (const { templating } of boards) {
    const route = templating.list.find(({ name }) => name === 'route');
    expect(route?.query).toMatch(
      /^label_values\(lastchunk_streams_started_total\{.*\}, http_route\)$/,
    );
  }
});

it('every label of a metric is translated, or is the same in both', () => {
  const labels = new Set(Object.values(METRICS).flatMap((metric) => Object.keys(metric.labels)));
  expect([...labels].filter((label) => !OLD.has(label))).toEqual(['error_type']);
});
