/** From Prometheus's answers to the frames that Grafana's components draw. */
import { FieldType, getDisplayProcessor } from '@grafana/data';

/** One frame for each series of a range query: time and value, with the panel's configuration. */
export function framesOf(panel, answers, theme) {
  const series = answers.flatMap(({ refId, legend, result }) =>
    result.map(({ metric, values }) => ({ refId, name: nameOf(legend, metric), values })),
  );
  return series.map(({ refId, name, values }, seriesIndex) => ({
    refId,
    length: values.length,
    fields: [
      {
        name: 'Time',
        type: FieldType.time,
        config: {},
        values: values.map(([seconds]) => seconds * 1_000),
      },
      fieldOf({ panel, refId, name, seriesIndex, theme }, values.map(numberOf)),
    ],
  }));
}

/** The numbers of an instant query, each as a field. */
export function numbersOf(panel, answers, theme) {
  return answers.flatMap(({ refId, legend, result }) =>
    result.map(({ metric, value }, seriesIndex) =>
      fieldOf({ panel, refId, name: nameOf(legend, metric), seriesIndex, theme }, [
        numberOf(value),
      ]),
    ),
  );
}

/** What stands where there is nothing: the panel's own words. */
export function nothing(panel, theme) {
  return fieldOf({ panel, refId: 'A', name: '', seriesIndex: 0, theme }, [null]);
}

/** A column of a table. */
export function columnOf(panel, title, theme) {
  return fieldOf({ panel, refId: '', name: title, seriesIndex: 0, theme }, []);
}

function fieldOf({ panel, refId, name, seriesIndex, theme }, values) {
  const { defaults, overrides } = panel.fieldConfig;
  const config = { ...defaults, displayName: name, custom: { ...DRAWN, ...defaults.custom } };
  for (const { matcher, properties } of overrides) {
    const meant = matcher.id === 'byName' ? name : refId;
    if (matcher.options !== meant) continue;
    for (const { id, value } of properties) {
      if (id.startsWith('custom.')) config.custom[id.slice('custom.'.length)] = value;
      else config[id] = value;
    }
  }
  const field = {
    name,
    type: FieldType.number,
    config,
    values,
    state: { seriesIndex, displayName: name },
  };
  field.display = getDisplayProcessor({ field, theme });
  return field;
}

/** What Grafana's editor puts where a dashboard says nothing. */
const DRAWN = {
  drawStyle: 'line',
  lineWidth: 1,
  fillOpacity: 0,
  pointSize: 5,
  showPoints: 'auto',
  lineInterpolation: 'linear',
  axisPlacement: 'auto',
  spanNulls: false,
};

function nameOf(legend, metric) {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '');
}

function numberOf([, text]) {
  return text === 'NaN' ? null : Number(text);
}
