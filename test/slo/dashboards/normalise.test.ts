/** Each thing that the SDK puts in of itself: that it still does, and that it is gone afterwards. */
import * as common from '@grafana/grafana-foundation-sdk/common';
import * as sdk from '@grafana/grafana-foundation-sdk/dashboard';
import { PanelBuilder } from '@grafana/grafana-foundation-sdk/timeseries';
import { describe, expect, it } from 'vitest';
import { normalise } from '../../../tools/dashboards/normalise.ts';
import { panelsOf, readDashboards } from './files.ts';

const built = () =>
  new sdk.DashboardBuilder('title')
    .withVariable(new sdk.QueryVariableBuilder('job').query('label_values(up, job)'))
    .annotation(new sdk.AnnotationQueryBuilder().name('deploys').expr('up'))
    .link(new sdk.DashboardLinkBuilder('runbooks').url('/'))
    .withRow(new sdk.RowBuilder('row').id(1))
    .withPanel(new PanelBuilder().id(2).links([new sdk.DashboardLinkBuilder('runbook').url('/')]));

describe('the Grafana SDK', () => {
  it.each([
    ['hides links and annotations in a menu', '"placement":"inControlsMenu"', 3],
    ['gives every variable a property that only intervals have', '"auto":false', 1],
    ['gives every variable a smallest interval', '"auto_min":"10s"', 1],
    ['gives every variable a number of intervals', '"auto_count":30', 1],
    ['marks every annotation as not built in', '"builtIn":0', 1],
    ['marks panels as not transparent', '"transparent":false', 1],
    ['sets the repeat direction of panels that do not repeat', '"repeatDirection":"h"', 1],
    ['writes empty custom settings', '"custom":{}', 1],
  ])('%s, and normalise() removes that', (_, wart, times) => {
    const dashboard = built().build();
    expect(JSON.stringify(dashboard).split(wart)).toHaveLength(times + 1);
    expect(JSON.stringify(normalise(dashboard))).not.toContain(wart);
    const spoilt = readDashboards().filter((ours) => JSON.stringify(ours).includes(wart));
    expect(spoilt.map(({ file }) => file)).toEqual([]);
  });

  it('gives rows the id 0 and panels no id, which normalise() refuses', () => {
    const row = built().withRow(new sdk.RowBuilder('second')).build();
    expect(row.panels?.map(({ id }) => id)).toEqual([1, 2, 0]);
    expect(() => normalise(row)).toThrow('ids that are missing or taken: 0');
    const panel = built().withPanel(new PanelBuilder()).build();
    expect(panel.panels?.at(-1)?.id).toBeUndefined();
    expect(() => normalise(panel)).toThrow(RangeError);
    expect(() => normalise(built().withPanel(new PanelBuilder().id(2)).build())).toThrow('2');
  });

  it('hides a legend that has only a placement, so the dashboards set that it is shown', () => {
    const legend = new common.VizLegendOptionsBuilder().placement(common.LegendPlacement.Bottom);
    expect(legend.build().showLegend).toBe(false);
    const plots = readDashboards().flatMap(({ dashboard }) =>
      panelsOf(dashboard).filter(({ type }) => type === 'timeseries'),
    );
    const hidden = plots.filter((plot) => JSON.stringify(plot).includes('"showLegend":false'));
    expect(hidden.map(({ title }) => title)).toEqual([]);
  });
});

it('normalise() keeps everything else', () => {
  expect(normalise(built().build())).toMatchObject({
    title: 'title',
    links: [{ title: 'runbooks', url: '/' }],
    panels: [
      { type: 'row', collapsed: false },
      { id: 2, links: [{ url: '/' }] },
    ],
  });
});
