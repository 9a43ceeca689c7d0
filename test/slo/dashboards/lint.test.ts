import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { ROOT } from '../../support/imports.ts';
import { readDashboards, type Dashboard } from './files.ts';
import { RULES, type Finding } from './lint.ts';

interface Exclusion {
  readonly reason: string;
  readonly entries: readonly { dashboard: string; panel: string; targetIdx?: number }[];
}

// The form is that of the linter; a mistake in it makes tests below fail.
const { exclusions } = parseYaml(readFileSync(join(ROOT, 'dashboards', '.lint'), 'utf8')) as {
  exclusions: Readonly<Record<string, Exclusion>>;
};
const dashboards = readDashboards().map(({ dashboard }) => dashboard);

describe('the lint rule', () => {
  it.each(Object.entries(RULES))('%s finds only what .lint excludes', (name, rule) => {
    const found = dashboards.flatMap(rule).filter((finding) => !isExcluded(name, finding));
    expect(found).toEqual([]);
  });

  it.each(Object.entries(BROKEN()))('%s detects a dashboard that breaks it', (name, breakIt) => {
    const [whole] = dashboards;
    if (whole === undefined) throw new Error('no dashboards');
    const broken = structuredClone(whole);
    // What the types of a dashboard call read-only is a copy here.
    breakIt(broken as unknown as Mutable);
    const messages = (dashboard: Dashboard): string[] =>
      RULES[name]?.(dashboard).map(({ message }) => message) ?? [];
    expect(messages(broken)).not.toEqual(messages(whole));
  });
});

describe('.lint', () => {
  it('names existing rules, each with a reason', () => {
    expect(Object.keys(exclusions).filter((name) => RULES[name] === undefined)).toEqual([]);
    expect(Object.values(exclusions).filter(({ reason }) => reason.length < 20)).toEqual([]);
  });

  it('excludes only what a rule finds', () => {
    const idle = Object.entries(exclusions).flatMap(([name, { entries }]) => {
      const found = dashboards.flatMap((dashboard) => RULES[name]?.(dashboard) ?? []);
      return entries.filter((entry) => !found.some((finding) => isSame(entry, finding)));
    });
    expect(idle).toEqual([]);
  });
});

function isExcluded(name: string, finding: Finding): boolean {
  return exclusions[name]?.entries.some((entry) => isSame(entry, finding)) ?? false;
}

function isSame(entry: Exclusion['entries'][number], finding: Finding): boolean {
  return (
    entry.dashboard === finding.dashboard &&
    entry.panel === finding.panel &&
    (entry.targetIdx === undefined || entry.targetIdx === finding.targetIdx)
  );
}

type Mutable = {
  editable: boolean;
  templating: { list: Record<string, unknown>[] };
  panels: (Record<string, unknown> & { targets: { expr: string }[] })[];
};

/** For each rule, how to break it. */
function BROKEN(): Record<string, (dashboard: Mutable) => void> {
  const variable = (change: Record<string, unknown>) => (dashboard: Mutable) => {
    for (const one of dashboard.templating.list) Object.assign(one, change);
  };
  const panel = (change: Record<string, unknown>) => (dashboard: Mutable) => {
    for (const one of dashboard.panels) if (one['type'] !== 'row') Object.assign(one, change);
  };
  const query = (expr: string) => panel({ targets: [{ expr }] });
  return {
    'template-datasource-rule': variable({ name: 'source' }),
    'template-job-rule': variable({ multi: false }),
    'template-instance-rule': variable({ allValue: '.*' }),
    'template-label-promql-rule': variable({ query: 'label_values(up{, job)' }),
    'template-on-time-change-reload-rule': variable({ refresh: 1 }),
    'panel-datasource-rule': panel({ datasource: { uid: 'mine' } }),
    'panel-title-description-rule': panel({ description: '' }),
    'panel-units-rule': panel({ fieldConfig: { defaults: { unit: 'furlong' } } }),
    'panel-no-targets-rule': panel({ targets: [] }),
    'target-promql-rule': query('sum by job (up)'),
    'target-rate-interval-rule': query('rate(up[5m])'),
    'target-job-rule': query('up{instance=~"$instance"}'),
    'target-instance-rule': query('up{job=~"$job"}'),
    'target-counter-agg-rule': query('sum(x_total)'),
    'uneditable-dashboard': (dashboard) => {
      dashboard.editable = true;
    },
  };
}
