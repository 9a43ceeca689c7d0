/** The appearance of each kind of panel in Grafana. */
import {
  AxisPlacement,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueTextMode,
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
  TableSortByFieldStateBuilder,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  FieldColorBuilder,
  FieldColorModeId,
  MappingType,
} from '@grafana/grafana-foundation-sdk/dashboard';
import {
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  PanelBuilder as Heatmap,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as Table } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries';
import { refIdOf, type Column, type Panel, type Step } from './panel.ts';

/** A builder of the panel's kind, without the settings that all kinds share. */
export function draw(panel: Panel, runbook: (alert: string) => string) {
  switch (panel.kind) {
    case 'stat':
      return stat(panel);
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
      return table(panel, runbook);
    case 'lines':
    case 'stack':
      return plot(panel);
  }
}

function stat({ words, showsName }: Panel): Stat {
  const builder = new Stat()
    .colorMode(BigValueColorMode.Value)
    .graphMode(BigValueGraphMode.None)
    .colorScheme(byThresholds())
    .reduceOptions(lastValue());
  if (showsName === true) builder.textMode(BigValueTextMode.Name);
  if (words !== undefined) {
    const options = Object.fromEntries(
      Object.entries(words).map(([number, text]) => [number, { text }]),
    );
    builder.mappings([{ type: MappingType.ValueToText, options }]);
  }
  return builder;
}

const byThresholds = (): FieldColorBuilder =>
  new FieldColorBuilder().mode(FieldColorModeId.Thresholds);

const lastValue = (): ReduceDataOptionsBuilder =>
  new ReduceDataOptionsBuilder().calcs(['lastNotNull']).fields('').values(false);

function plot(panel: Panel): TimeSeries {
  const builder = new TimeSeries()
    .colorScheme(seriesColours(panel))
    .legend(
      // The SDK turns the legend off as soon as another of its settings is given.
      new VizLegendOptionsBuilder()
        .showLegend(true)
        .displayMode(LegendDisplayMode.List)
        .placement(LegendPlacement.Bottom),
    )
    .tooltip(
      new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending),
    );
  // Where all values are 0, Grafana's default axis ends at 100. The axis of a rate is shorter: one refused message in five minutes must be
  // visible.
  if (panel.max === undefined && ROOM.test(panel.unit))
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

/** Units of counts. Seconds, bytes and shares have values below 1. */
const ROOM = /^(?:short|suffix:)/;

function seriesColours({ othersIn }: Panel): FieldColorBuilder {
  if (othersIn === undefined) return new FieldColorBuilder().mode(FieldColorModeId.PaletteClassic);
  return new FieldColorBuilder().mode(FieldColorModeId.Fixed).fixedColor(othersIn);
}

/** The result of one query is shown as it is; those of several queries are merged, with one row for equal labels. */
function table(panel: Panel, runbook: (alert: string) => string): Table {
  const { columns = [], queries, sortedBy } = panel;
  const builder = new Table()
    .showHeader(true)
    .cellHeight(TableCellHeight.Sm)
    .colorScheme(byThresholds());
  if (queries.length > 1) builder.withTransformation({ id: 'merge', options: {} });
  builder.withTransformation({
    id: 'organize',
    options: {
      excludeByName: { Time: true },
      indexByName: Object.fromEntries(columns.map(({ field }, index) => [field, index])),
      renameByName: Object.fromEntries(
        columns.filter(({ field, title }) => field !== title).map((one) => [one.field, one.title]),
      ),
    },
  });
  if (sortedBy !== undefined) {
    builder.sortBy([new TableSortByFieldStateBuilder().displayName(sortedBy).desc(true)]);
  }
  for (const column of columns) {
    builder.overrideByName(column.title, propertiesOf(column, runbook));
  }
  return builder;
}

/** The overrides of one column. */
function propertiesOf(column: Column, runbook: (alert: string) => string) {
  const { unit, decimals, steps, runbook: leads } = column;
  return [
    // `noValue` of the panel is for an empty table.
    { id: 'noValue', value: '–' },
    ...(unit === undefined ? [] : [{ id: 'unit', value: unit }]),
    ...(decimals === undefined ? [] : [{ id: 'decimals', value: decimals }]),
    ...(steps === undefined
      ? []
      : [
          { id: 'thresholds', value: { mode: 'absolute', steps: stepsOf(steps) } },
          { id: 'custom.cellOptions', value: { type: 'color-text' } },
        ]),
    ...(leads === undefined
      ? []
      : [
          {
            id: 'links',
            value: [{ title: 'Runbook', url: runbook('${__value.raw}'), targetBlank: true }],
          },
        ]),
  ];
}

/** Thresholds as Grafana writes them. */
export function stepsOf(steps: readonly Step[]) {
  return steps.map(({ from, colour }) => ({ value: from ?? null, color: colour }));
}
