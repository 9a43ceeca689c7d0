import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { ruleGroups, rulesYaml, type SloOptions } from '../../src/slo/index.ts';
import { CASES } from './rules/cases.ts';
import { failures, failuresOf, findPromtools } from './rules/promtool.ts';
import type { InputSeries } from './rules/series.ts';

const promtools = findPromtools();
if (promtools.length === 0) {
  process.stdout.write('skipped: the rules against their cases (there is no program promtool)\n');
}

describe('the committed rule file', () => {
  it('is written by the generator', async () => {
    expect(await readFile('alerts/lastchunk.rules.yml', 'utf8')).toBe(rulesYaml());
  });
});

describe.each(promtools)('with promtool $version the rules', (promtool) => {
  it.each(Object.keys(CASES))('fire as in the cases of %s', { timeout: 600_000 }, async (group) => {
    expect(await failures(promtool, rulesYaml(), CASES[group] ?? [])).toBeUndefined();
  });

  it('link to a dashboard with the labels of the alert selected, and with all values if there is none', async () => {
    const board = 'https://grafana.example/d/lastchunk-streams?';
    const labels = { job: 'a b/c&d', cluster: 'é"1"', instance: 'a:1' };
    const selector = Object.entries(labels).map(([label, value]) => `${label}='${value}'`);
    const series = [
      { series: `lastchunk_build_info{${selector.join()}}`, values: '1x30' },
      { series: `up{${selector.join()}}`, values: '0x30' },
    ];
    const tests = [
      testFile('LastchunkMetricsAbsent', [], {}, `${board}var-job=$__all&var-cluster=$__all`),
      testFile(
        'LastchunkTargetDown',
        series,
        labels,
        `${board}var-job=a+b%2Fc%26d&var-cluster=%C3%A9%221%22`,
      ),
    ];
    expect(await failuresOf(promtool, rulesYaml(LINKED), tests)).toBeUndefined();
  });
});

const LINKED: SloOptions = { dashboardUrl: 'https://grafana.example', labels: ['cluster'] };

/** That one alert fires on these series, with these labels and the address of this dashboard. */
function testFile(
  name: string,
  series: readonly InputSeries[],
  labels: Readonly<Record<string, string>>,
  board: string,
): object {
  const rules = ruleGroups(LINKED).flatMap((group) => group.rules);
  const rule = rules.find((one) => 'alert' in one && one.alert === name);
  if (rule === undefined || !('alert' in rule)) throw new Error(`there is no alert ${name}`);
  const description = rule.annotations.description.replaceAll(
    /\{\{ \$labels\.(\w+) \}\}/g,
    (_, label: string) => labels[label] ?? '',
  );
  const fires = {
    exp_labels: { ...rule.labels, ...labels },
    exp_annotations: { ...rule.annotations, description, dashboard_url: board },
  };
  const alert_rule_test = [{ alertname: name, eval_time: '20m', exp_alerts: [fires] }];
  return {
    rule_files: ['rules.yml'],
    evaluation_interval: '1m',
    tests: [{ interval: '1m', input_series: series, alert_rule_test }],
  };
}
