import { describe, expect, it } from 'vitest';
import { ruleGroups, rulesYaml, type SloOptions } from '../../src/slo/index.ts';

function expressions(options: SloOptions = {}): string {
  return ruleGroups(options)
    .flatMap((group) => group.rules)
    .map(({ expr }) => expr)
    .join('\n');
}

describe('options of the objectives', () => {
  it.each([
    [{ objective: 93 }, 'objective', 'from 93.1'],
    [{ objective: 100 }, 'objective', 'below 100'],
    [{ objective: Number.NaN }, 'objective', 'NaN'],
    [{ timeliness: 0 }, 'timeliness', 'from 93.1'],
    [{ windowDays: 6 }, 'windowDays', 'from 7 to 90'],
    [{ windowDays: 30.5 }, 'windowDays', 'whole'],
    [{ labels: ['job'] }, 'labels', '"job"'],
    [{ labels: ['route'] }, 'labels', '"route"'],
    [{ labels: ['cluster', 'cluster'] }, 'labels', '"cluster"'],
    [{ labels: ['a-b'] }, 'labels', '"a-b"'],
    [{ labels: ['__name__'] }, 'labels', '"__name__"'],
    [{ minFailures: 0 }, 'minFailures', 'from 1'],
    [{ runbookUrl: '' }, 'runbookUrl', 'an address'],
    [{ runbookUrl: 'https://a b' }, 'runbookUrl', 'an address'],
    [{ runbookUrl: 'docs/runbooks' }, 'runbookUrl', 'an address'],
    [{ runbookUrl: '/runbooks' }, 'runbookUrl', 'not the path "/runbooks"'],
    [{ dashboardUrl: '/grafana' }, 'dashboardUrl', 'an address'],
    [{ dashboardUrl: 'https://{{ x }}' }, 'dashboardUrl', 'an address'],
    [{ speed: 0.5 }, 'speed', 'from 1 to 60'],
    // A mistake that only JavaScript can make.
    [{ target: 99 } as SloOptions, 'target', 'known are'],
  ])('%o are refused with the name of the option', (options, name, reason) => {
    const attempt = (): unknown => ruleGroups(options);
    expect(attempt).toThrow(expect.objectContaining({ code: 'bad-option' }));
    expect(attempt).toThrow(`\`${name}\``);
    expect(attempt).toThrow(reason);
  });

  it('give the usual factors for thirty days, and other ones for 28', () => {
    for (const factor of [14.4, 6, 3, 1])
      expect(expressions()).toContain(`(${factor} * (1 - 0.999))`);
    for (const factor of [13.44, 5.6, 2.8]) {
      expect(expressions({ windowDays: 28 })).toContain(`(${factor} * (1 - 0.999))`);
    }
  });

  it('write an objective without rounding errors of binary fractions', () => {
    expect(expressions({ objective: 99.95 })).toContain('(1 - 0.9995)');
    expect(expressions({ timeliness: 97.3 })).toContain('(1 - 0.973)');
  });

  it('separate services by every label, in every sum', () => {
    const all = expressions({ labels: ['cluster', 'namespace'] });
    const groups = [...all.matchAll(/(?:by|on) \(([^)]*)\)/g)].map(([, labels = '']) => labels);
    expect(groups.length).toBeGreaterThan(50);
    expect(groups.filter((labels) => !labels.startsWith('job, cluster, namespace'))).toEqual([]);
  });

  it('set the minimum number of failures', () => {
    expect(expressions({ minFailures: 20 })).toContain('rate1h * 3600 > 19.5');
    expect(expressions({ minFailures: 20 })).toContain('rate1d * 86400 > 1.5');
    expect(expressions({ minFailures: 1 })).toContain('rate1d * 86400 > 0.5');
  });

  it('set the address of the runbooks', () => {
    const urls = ruleGroups({ runbookUrl: 'https://wiki.example/chat/' })
      .flatMap((group) => group.rules)
      .flatMap((rule) => ('alert' in rule ? rule.annotations.runbook_url : []));
    expect(urls).toContain('https://wiki.example/chat/LastchunkMessagesLost.md');
  });

  it('set the address of the dashboards, and without it there is none', () => {
    const annotations = (options: SloOptions): unknown[] =>
      ruleGroups(options).flatMap(({ rules }) =>
        rules.flatMap((rule) => ('alert' in rule ? [rule.annotations] : [])),
      );
    expect(JSON.stringify(annotations({}))).not.toContain('dashboard_url');
    for (const one of annotations({ dashboardUrl: 'https://grafana.example/' })) {
      const url = expect.stringMatching(
        /^https:\/\/grafana\.example\/d\/lastchunk-(?:saves|streams)\?var-job=/,
      ) as unknown;
      expect(one).toMatchObject({ dashboard_url: url });
    }
  });

  it('speed up every window under the same names', () => {
    const named = (speed: number): string[] =>
      ruleGroups({ speed }).flatMap(({ rules }) =>
        rules.map((rule) => ('record' in rule ? rule.record : rule.alert)),
      );
    expect(named(60)).toEqual(named(1));
    expect(expressions({ speed: 60 })).toContain('rate(lastchunk_saves_total[5s])');
    expect(expressions({ speed: 60 })).toContain('rate1h * 60 > 2.5');
    expect(expressions({ speed: 50 })).toContain('[12s:1200ms]');
    expect(rulesYaml({ speed: 60 })).toContain('interval: 500ms');
  });

  it('are never folded into several lines of YAML', () => {
    expect(rulesYaml()).not.toMatch(/: >/);
    expect(rulesYaml().startsWith('# Made by ')).toBe(true);
  });
});
