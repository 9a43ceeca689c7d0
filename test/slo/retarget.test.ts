/** What `lastchunk dashboards` makes of the shipped files, held against the program that makes those files. */
import { describe, expect, it } from 'vitest';
import { retarget, type DashboardOptions } from '../../src/slo/retarget.ts';
import { dashboardFiles } from '../../tools/dashboards/index.ts';

const retargeted = (options?: DashboardOptions): string[] =>
  dashboardFiles().map(([, json]) => `${JSON.stringify(retarget(json, options), null, 2)}\n`);

it.each([
  {},
  { objective: 99.5 },
  { windowDays: 28 },
  { objective: 97, windowDays: 7, runbookUrl: 'https://wiki.example/$&/runbooks/' },
  { labels: ['cluster'] },
  { source: 'otel' },
  { labels: ['cluster', 'namespace'], objective: 99.99, windowDays: 90, timeliness: 98 },
] satisfies DashboardOptions[])(
  'with %j a shipped dashboard becomes the one that the generator makes for these options',
  (options) => {
    const made = dashboardFiles(options);
    expect(made).toHaveLength(2);
    expect(retargeted(options)).toEqual(made.map(([, json]) => json));
  },
);

describe('a dashboard', () => {
  it('opens with the data source of the option', () => {
    const [saves = ''] = retargeted({ datasource: 'thanos' });
    expect(JSON.parse(saves)).toMatchObject({
      templating: {
        list: expect.arrayContaining([
          expect.objectContaining({
            name: 'datasource',
            current: { selected: true, text: 'thanos', value: 'thanos' },
          }),
        ]),
      },
    });
  });

  it('has the name of the app in its title, and nowhere else', () => {
    const [before = '', after = ''] = [retargeted()[0], retargeted({ title: 'Chat $&' })[0]];
    expect(JSON.parse(after)).toEqual({
      ...(JSON.parse(before) as object),
      title: 'Chat $& / Message save',
    });
  });

  it('is refused for options that the rules refuse', () => {
    expect(() => retargeted({ objective: 100 })).toThrow('`objective` must be a percentage');
    expect(() => retargeted({ labels: ['route'] })).toThrow('the rules use it already');
  });
});
