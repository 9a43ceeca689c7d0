/** Each kind of panel that the dashboards have. */
import { formattedValueToString, getValueFormat } from '@grafana/data';
import { BigValue, TimeSeries } from '@grafana/ui';
import { columnOf, framesOf, nothing, numbersOf } from './frames.js';
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
  const { colorMode, graphMode, justifyMode, textMode } = panel.options;
  // Without a number there is no name either: the panel's own words stand there.
  const named = textMode === 'name' && field.name !== '';
  const value = { ...field.display(field.values[0]), title: named ? field.name : '' };
  const look = { colorMode, graphMode, justifyMode, textMode: named ? 'name' : 'value' };
  return <BigValue {...look} value={value} theme={theme} width={width} height={height} />;
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
  const { titles, rows } = cellsOf(panel, answers);
  if (rows.length === 0) return <Nothing panel={panel} />;
  const fields = titles.map((title) => columnOf(panel, title, theme));
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
        {rows.map((row) => (
          <tr key={row.join()}>
            {row.map((value, index) => (
              <td key={titles[index]} style={{ ...cell, ...lookOf(fields[index], value) }}>
                {textOf(fields[index], value)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function textOf({ config, display }, value) {
  return typeof value === 'number'
    ? formattedValueToString(display(value))
    : value || config.noValue;
}

/** A column of numbers has the colour of its thresholds only where the dashboard says so. */
function lookOf({ config, display }, value) {
  const coloured = config.custom.cellOptions?.type === 'color-text';
  return coloured && typeof value === 'number' ? { color: display(value).color } : {};
}

function Nothing({ panel }) {
  const style = { height: '100%', display: 'grid', placeContent: 'center' };
  return <div style={style}>{panel.fieldConfig.defaults.noValue}</div>;
}

const KINDS = {
  timeseries: Plot,
  stat: Stat,
  heatmap: Distribution,
  table: Rows,
};
