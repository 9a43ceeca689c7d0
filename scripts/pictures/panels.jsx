/** Each kind of panel that the dashboards have. */
import { formattedValueToString, getValueFormat } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries } from '@grafana/ui';
import { framesOf, nothing, numbersOf } from './frames.js';
import { Heatmap } from './heatmap.jsx';
import { cellsOf } from './table.ts';

export function Panel(props) {
  const Kind = KINDS[props.panel.type];
  return <Kind {...props} />;
}

function Plot({ panel, answers, range, theme, width, height }) {
  const frames = framesOf(panel, answers, theme);
  if (frames.length === 0) return <Nothing panel={panel} />;
  return (
    <TimeSeries
      frames={frames}
      structureRev={1}
      timeRange={range}
      timeZone="utc"
      legend={panel.options.legend}
      options={panel.options}
      width={width}
      height={height}
    />
  );
}

function Stat({ panel, answers, theme, width, height }) {
  const [field = nothing(panel, theme)] = numbersOf(panel, answers, theme);
  const value = { ...field.display(field.values[0]), title: '' };
  const { colorMode, graphMode, justifyMode, textMode } = panel.options;
  const look = {
    colorMode,
    graphMode,
    justifyMode,
    textMode: textMode === 'auto' ? 'value' : textMode,
  };
  return <BigValue {...look} value={value} theme={theme} width={width} height={height} />;
}

function Ranking({ panel, answers, theme, width, height }) {
  const fields = numbersOf(panel, answers, theme);
  if (fields.length === 0) return <Nothing panel={panel} />;
  const { displayMode, showUnfilled, namePlacement, valueMode } = panel.options;
  const each = Math.min(height / fields.length, 60);
  const most = Math.max(...fields.map(({ values }) => values[0] ?? 0), 1e-6);
  return fields.map(({ name, values, config, display }) => (
    <BarGauge
      key={name}
      theme={theme}
      width={width}
      height={each - 10}
      orientation="horizontal"
      field={{ ...config, max: config.max ?? most }}
      display={display}
      value={{ ...display(values[0]), title: name }}
      displayMode={displayMode}
      showUnfilled={showUnfilled}
      namePlacement={namePlacement}
      valueDisplayMode={valueMode}
    />
  ));
}

function Distribution({ panel, answers, range, theme, width, height }) {
  const [{ result } = { result: [] }] = answers;
  if (result.length === 0) return <Nothing panel={panel} />;
  const format = getValueFormat(panel.fieldConfig.defaults.unit);
  const spell = (number) => formattedValueToString(format(number));
  return (
    <Heatmap
      result={result}
      range={range}
      theme={theme}
      spell={spell}
      width={width}
      height={height}
    />
  );
}

function Rows({ panel, answers, theme }) {
  const [{ result } = { result: [] }] = answers;
  if (result.length === 0) return <Nothing panel={panel} />;
  const format = getValueFormat(panel.fieldConfig.defaults.unit);
  const { titles, rows } = cellsOf(panel, result, (number) =>
    formattedValueToString(format(number)),
  );
  const cell = { padding: '6px 10px', borderBottom: `1px solid ${theme.colors.border.weak}` };
  const head = { ...cell, textAlign: 'left', color: theme.colors.text.link };
  return (
    <table style={{ width: '100%', fontSize: theme.typography.bodySmall.fontSize }}>
      <thead>
        <tr>
          {titles.map((title) => (
            <th key={title} style={head}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((texts) => (
          <tr key={texts.join()}>
            {texts.map((text, index) => (
              <td key={titles[index]} style={cell}>
                {text}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Nothing({ panel }) {
  const style = { height: '100%', display: 'grid', placeContent: 'center' };
  return <div style={style}>{panel.fieldConfig.defaults.noValue}</div>;
}

const KINDS = {
  timeseries: Plot,
  stat: Stat,
  bargauge: Ranking,
  heatmap: Distribution,
  table: Rows,
};
