import { describe, expect, it } from 'vitest';
import { boards, dashboardFiles } from '../../../tools/dashboards/index.ts';
import { ruleGroups } from '../../../src/slo/rules.ts';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../../support/imports.ts';
import { panelsOf, readDashboards, type Dashboard } from './files.ts';
import { parse } from './promql.ts';

const committed = readDashboards();
const alertNames = new Set(
  ruleGroups().flatMap(({ rules }) =>
    rules.flatMap((rule) => ('alert' in rule ? [rule.alert] : [])),
  ),
);

it('the committed files are those that `npm run generate` writes', async () => {
  const made = dashboardFiles();
  expect(made.map(([name]) => name)).toEqual(committed.map(({ file }) => file));
  for (const [name, json] of made) {
    expect(await readFile(join(ROOT, 'dashboards', name), 'utf8')).toBe(json);
  }
});

describe.each(committed)('$file', ({ dashboard }) => {
  it('describes in every panel what it shows, what is good, and what to do otherwise', () => {
    const bare = panelsOf(dashboard).filter(
      ({ description }) =>
        !/^.{15,}\n\n\*\*Good:\*\* .+\n\n\*\*Otherwise:\*\* .{10,}$/.test(description),
    );
    expect(bare.map(({ title }) => title)).toEqual([]);
  });

  it('has in every panel a text for missing data', () => {
    const silent = panelsOf(dashboard).filter(({ fieldConfig }) => !fieldConfig.defaults.noValue);
    expect(silent.map(({ title }) => title)).toEqual([]);
  });

  it('has unique ids and unique titles', () => {
    const ids = dashboard.panels.map(({ id }) => id);
    const titles = dashboard.panels.map(({ title }) => title);
    expect([new Set(ids).size, new Set(titles).size]).toEqual([ids.length, titles.length]);
    expect(Math.min(...ids)).toBeGreaterThan(0);
  });

  it('fits into 24 columns without overlapping panels', () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from(
        { length: w * h },
        (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`,
      ),
    );
    expect(new Set(cells).size).toBe(cells.length);
    const widest = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.x + gridPos.w));
    expect(widest).toBe(24);
  });

  it('links to runbooks of existing alerts', () => {
    const urls = panelsOf(dashboard).flatMap(({ links }) => links?.map(({ url }) => url) ?? []);
    expect(urls.length).toBeGreaterThan(5);
    const names = urls.map((url) => /^\/public\/runbooks\/(\w+)\.md$/.exec(url)?.[1] ?? url);
    expect(names.filter((name) => !alertNames.has(name))).toEqual([]);
  });

  it('links to the other dashboard by their common tag, with the time range and the variables', () => {
    expect(dashboard.tags).toEqual(['lastchunk-mixin']);
    expect(dashboard.links).toContainEqual(
      expect.objectContaining({
        type: 'dashboards',
        tags: ['lastchunk-mixin'],
        keepTime: true,
        includeVars: true,
      }),
    );
  });

  it('marks new versions, restarts and pages, queries exemplars, and has variables for what to show', () => {
    expect(dashboard.annotations.list.map(({ name }) => name)).toEqual([
      'New versions',
      'Restarts',
      'Pages',
    ]);
    expect(
      panelsOf(dashboard).filter(({ targets }) =>
        targets.some(({ exemplar }) => exemplar === true),
      ),
    ).toHaveLength(1);
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual([
      'datasource',
      'job',
      'instance',
      'route',
    ]);
  });
});

it('every alert has a panel that links to its runbook', () => {
  const linked = new Set(
    boards().boards.flatMap(({ rows }) =>
      rows.flatMap(({ panels }) => panels.flatMap(({ alerts }) => alerts ?? [])),
    ),
  );
  expect([...alertNames].filter((name) => !linked.has(name))).toEqual([]);
});

it('the dashboard to which an alert links has a panel that links to its runbook', () => {
  const rules = ruleGroups({ dashboardUrl: 'https://grafana.example' }).flatMap((one) => one.rules);
  const lost = rules.flatMap((rule) => {
    if (!('alert' in rule)) return [];
    const uid = /\/d\/([\w-]+)/.exec(rule.annotations.dashboard_url ?? '')?.[1];
    const board = boards().boards.find((one) => one.uid === uid);
    const shown = board?.rows.flatMap(({ panels }) => panels.flatMap(({ alerts = [] }) => alerts));
    return shown?.includes(rule.alert) === true ? [] : [`${rule.alert} on ${uid}`];
  });
  expect(lost).toEqual([]);
});

describe('the first row of the dashboard of saves', () => {
  const [board] = boards().boards;
  const panel = (title: string) =>
    board?.rows.flatMap(({ panels }) => panels).find((one) => one.title === title);
  const grouping = (title: string): readonly string[] =>
    parse(panel(title)?.queries[0]?.expr ?? '').grouping;

  it('counts the alerts that its table lists', () => {
    const listed = grouping('Alerts that fire, with their runbooks');
    const labels = ['alertname', 'severity', 'job', 'instance', 'route'];
    expect(listed.filter((label) => label !== 'runbook' && label !== 'alertstate')).toEqual(labels);
    expect(grouping('Alerts')).toEqual(labels);
  });

  it('shows the states of store and journal in words, and the error of the store by its name', () => {
    expect(panel('Store')?.words).toEqual({ 0: 'answers', 1: 'away', 2: 'paused' });
    expect(panel('Journal state')?.words).toEqual({ 0: 'well', 1: 'degraded' });
    const made = JSON.stringify(committed[0]?.dashboard.panels);
    expect(made).toContain('"2":{"text":"paused"}');
    expect(made).toContain('"textMode":"name"');
  });
});

it('a table shows a dash in each cell without a value', () => {
  for (const { dashboard } of committed) {
    const words = panelsOf(dashboard)
      .filter(({ type }) => type === 'table')
      .map((table) => JSON.stringify(table).split('{"id":"noValue","value":"–"}').length - 1);
    expect(words.every((columns) => columns > 5)).toBe(true);
  }
});

describe('other objectives', () => {
  const made = (options: Parameters<typeof dashboardFiles>[0]): Dashboard[] =>
    // The same shape as the files.
    dashboardFiles(options).map(([, json]) => JSON.parse(json) as Dashboard);
  const queries = (of: readonly Dashboard[]): string[] =>
    of.flatMap((one) => panelsOf(one).flatMap(({ targets }) => targets.map(({ expr }) => expr)));

  it('change the thresholds and the titles', () => {
    const [saves] = made({ objective: 99, windowDays: 28 });
    expect(JSON.stringify(saves)).toContain('Budget left, 28d');
    expect(queries(saves === undefined ? [] : [saves]).join('\n')).toContain('/ (1 - 0.99)');
    expect(JSON.stringify(saves)).toContain('13.44 over 1h');
  });

  it('filter every series by further labels, each a variable', () => {
    const clustered = made({ labels: ['cluster'] });
    expect(clustered[0]?.templating.list.map(({ name, query }) => [name, query])).toContainEqual([
      'cluster',
      'label_values(lastchunk_build_info{job=~"$job"}, cluster)',
    ]);
    const selectors = queries(clustered).flatMap((expr) => parse(expr).selectors);
    const wide = selectors.filter(
      ({ matchers }) => !matchers.some(({ label }) => label === 'cluster'),
    );
    expect(wide.map(({ metric }) => metric)).toEqual([]);
  });

  it('are refused in the same way as for the rules', () => {
    expect(() => dashboardFiles({ objective: 100 })).toThrow('`objective` must be a percentage');
    expect(() => dashboardFiles({ labels: ['route'] })).toThrow('the rules use it already');
  });
});
