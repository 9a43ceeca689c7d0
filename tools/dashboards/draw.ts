/** How each kind of panel is drawn by Grafana. */
import { PanelBuilder as BarGauge } from '@grafana/grafana-foundation-sdk/bargauge';
import {
  AxisPlacement,
  BarGaugeDisplayMode,
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  GraphThresholdsStyleConfigBuilder,
  GraphThresholdsStyleMode,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TableCellHeight,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import { FieldColorBuilder, FieldColorModeId } from '@grafana/grafana-foundation-sdk/dashboard';
import {
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  PanelBuilder as Heatmap,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as Table } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries';
import type { Panel } from './panel.ts';

/** A builder that knows its kind, and nothing yet that all kinds have alike. */
export function draw(panel: Panel, runbook: (alert: string) => string) {
  switch (panel.kind) {
    case 'stat':
      return new Stat()
        .colorMode(BigValueColorMode.Value)
        .graphMode(BigValueGraphMode.None)
        .colorScheme(byThresholds())
        .reduceOptions(lastValue());
    case 'ranking':
      return new BarGauge()
        .orientation(VizOrientation.Horizontal)
        .displayMode(BarGaugeDisplayMode.Basic)
        .colorScheme(byThresholds())
        .reduceOptions(lastValue());
    case 'heatmap':
      return new Heatmap()
        .calculate(false)
        .color(
          new HeatmapColorOptionsBuilder()
            .mode(HeatmapColorMode.Scheme)
            .scheme('Oranges')
            .steps(64),
        )
        .yAxis(new YAxisConfigBuilder().unit(panel.unit).axisPlacement(AxisPlacement.Left));
    case 'table':
      return table(runbook);
    case 'lines':
    case 'stack':
      return plot(panel);
  }
}

const byThresholds = (): FieldColorBuilder =>
  new FieldColorBuilder().mode(FieldColorModeId.Thresholds);

const lastValue = (): ReduceDataOptionsBuilder =>
  new ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false);

function plot(panel: Panel): TimeSeries {
  const builder = new TimeSeries()
    .colorScheme(seriesColours(panel))
    .legend(
      // The SDK turns the legend off as soon as anything is said about it.
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom),
    )
    .tooltip(
      new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending),
    );
  // Where all is 0, Grafana's own axis goes to 100. A rate has less room: one refused message in five minutes must be seen.
  if (panel.min === 0 && panel.max === undefined && ROOM.test(panel.unit))
    builder.axisSoftMax(panel.unit === 'short' ? 1 : 0.1);
  if (panel.kind === 'stack') {
    builder
      .drawStyle(GraphDrawStyle.Bars)
      .fillOpacity(80)
      .lineWidth(0)
      .stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  } else if (panel.steps !== undefined) {
    builder.thresholdsStyle(
      new GraphThresholdsStyleConfigBuilder().mode(GraphThresholdsStyleMode.Dashed),
    );
  }
  for (const [name, colour] of Object.entries(panel.colours ?? {})) {
    builder.overrideByName(name, [{ id: 'color', value: { mode: 'fixed', fixedColor: colour } }]);
  }
  for (const [index, { right }] of panel.queries.entries()) {
    if (right === undefined) continue;
    builder.overrideByQuery(refIdOf(index), [
      { id: 'unit', value: right },
      { id: 'custom.axisPlacement', value: 'right' },
      { id: 'custom.lineStyle', value: { fill: 'dash', dash: [6, 4] } },
    ]);
  }
  return builder;
}

/** Units of what is counted. Seconds, bytes and shares have room below 1. */
const ROOM = /^(?:short|suffix: )/;

function seriesColours({ othersIn }: Panel): FieldColorBuilder {
  if (othersIn === undefined) return new FieldColorBuilder().mode(FieldColorModeId.PaletteClassic);
  return new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(othersIn);
}

/** The name of a query in its panel: A, B, C. */
export function refIdOf(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}

function table(runbook: (alert: string) => string): Table {
  return new Table()
    .showHeader(true)
    .cellHeight(TableCellHeight.Sm)
    .colorScheme(byThresholds())
    .withTransformation({
      id: 'organize',
      options: {
        excludeByName: { Time: true },
        indexByName: {
          alertname: 0,
          severity: 1,
          Value: 2,
          job: 3,
          instance: 4,
          route: 5,
          runbook: 6,
        },
        renameByName: { alertname: 'alert', Value: 'since' },
      },
    })
    .overrideByName('runbook', [
      {
        id: 'links',
        value: [{ title: 'Runbook', url: runbook('${__value.raw}'), targetBlank: true }],
      },
    ]);
}
