/** Converts our description of a dashboard to Grafana's, with its Foundation SDK. */
import {
  AnnotationQueryBuilder,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  RowBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  type Dashboard,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { draw, stepsOf } from './draw.ts';
import { normalise } from './normalise.ts';
import { refIdOf, type Board, type Panel, type Query, type Step } from './panel.ts';
import type { Scope } from './scope.ts';
import type { Spelling } from '../../src/slo/source.ts';
import { SOURCE, variables } from './variables.ts';

/** The tag by which the dashboards of lastchunk link to each other. */
export const TAG = 'lastchunk-mixin';

/** A dashboard in Grafana's classic form. `id` is left out on purpose: the server assigns it. */
export function render(board: Board, scope: Scope): Dashboard {
  const { runbookUrl, spelling } = scope.slo;
  const dashboard = new DashboardBuilder(board.title)
    .uid(board.uid)
    .description(board.description)
    .tags([TAG])
    .readonly()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-6h', to: 'now' })
    .refresh('30s')
    .variables(variables(scope.slo))
    .annotations(annotations(scope))
    .link(
      new DashboardLinkBuilder('Lastchunk')
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .icon('external link')
        .keepTime(true)
        .includeVars(true),
    );
  const runbook = (alert: string): string => `${runbookUrl}/${alert}.md`;
  for (const row of board.rows) {
    dashboard.withRow(new RowBuilder(row.title).id(row.id));
    for (const panel of row.panels) dashboard.withPanel(panelOf(panel, runbook, spelling));
  }
  return normalise(dashboard.build());
}

function panelOf(panel: Panel, runbook: (alert: string) => string, spelling: Spelling) {
  const { id, title, shows, good, action, unit, decimals, min, max, alerts = [] } = panel;
  const builder = draw(panel, runbook)
    .id(id)
    .title(title)
    .description(`${shows}\n\n**Good:** ${good}\n\n**Otherwise:** ${action}`)
    .datasource(SOURCE)
    .span(panel.width)
    .height(panel.height)
    .unit(unit)
    .noValue(panel.noValue)
    .thresholds(
      new ThresholdsConfigBuilder()
        .mode(ThresholdsMode.Absolute)
        .steps(stepsOf(panel.steps ?? PLAIN)),
    )
    .targets(panel.queries.map((query, index) => targetOf(panel, query, index, spelling)))
    .links(
      alerts.map((alert) =>
        new DashboardLinkBuilder(`Runbook: ${alert}`)
          .type(DashboardLinkType.Link)
          .url(runbook(alert))
          .targetBlank(true),
      ),
    );
  if (decimals !== undefined) builder.decimals(decimals);
  if (min !== undefined) builder.min(min);
  if (max !== undefined) builder.max(max);
  return builder;
}

const PLAIN: readonly Step[] = [{ colour: 'green' }];

function targetOf(
  { kind }: Panel,
  query: Query,
  index: number,
  spelling: Spelling,
): DataqueryBuilder {
  const target = new DataqueryBuilder()
    .refId(refIdOf(index))
    .datasource(SOURCE)
    .expr(spelling.query(query.expr))
    .legendFormat(spelling.template(query.legend));
  if (query.exemplars === true) target.exemplar(true);
  if (kind === 'heatmap') return target.range().format(PromQueryFormat.Heatmap);
  if (kind === 'table') return target.instant().format(PromQueryFormat.Table);
  return kind === 'stat' ? target.instant() : target.range();
}

/** Vertical lines over every plot: new versions, restarts and critical alerts. */
function annotations(scope: Scope): AnnotationQueryBuilder[] {
  const { spelling } = scope.slo;
  const versions = `group by (job, version) (${scope.select('buildInfo')})`;
  const before = `group by (job, version) (${scope.select('buildInfo')} offset 5m)`;
  const started = scope.ofProcess('process_start_time_seconds');
  const mark = (name: string, colour: string, expr: string): AnnotationQueryBuilder =>
    new AnnotationQueryBuilder()
      .name(name)
      .datasource(SOURCE)
      .enable(true)
      .iconColor(colour)
      .expr(spelling.query(expr));
  return [
    mark('New versions', 'blue', `${versions} unless ${before}`)
      .titleFormat('New version')
      .textFormat(spelling.template('{{job}} runs lastchunk {{version}}')),
    mark('Restarts', 'light-blue', `changes(${started}[$__rate_interval]) > 0`)
      .titleFormat('Restart')
      .textFormat('{{instance}}'),
    mark('Pages', 'red', `group by (alertname, job) (${scope.firing(['severity="critical"'])})`)
      .titleFormat('{{alertname}}')
      .textFormat('{{job}}'),
  ];
}
