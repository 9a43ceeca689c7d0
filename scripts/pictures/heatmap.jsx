/** A heatmap of cumulative buckets. Grafana's is a plugin and no component, so this one is drawn here, in its colours. */

const LEFT = 60;
const BELOW = 22;
/** From few to many, on dark ground. */
const COLOURS = ['#4a1b05', '#8c2d04', '#d94801', '#f16913', '#fdae6b', '#fee6ce'];

export function Heatmap({ result, range, theme, spell, width, height }) {
  const buckets = result
    .map(({ metric, values }) => ({ le: Number(metric.le.replace('+Inf', 'Infinity')), values }))
    .toSorted((a, b) => a.le - b.le);
  // Buckets are cumulative: what is in one is what the one before has not.
  const rows = buckets.map(({ le, values }, index) => {
    const before = new Map(buckets[index - 1]?.values ?? []);
    return {
      le,
      cells: values.map(([at, many]) => [at, Number(many) - Number(before.get(at) ?? 0)]),
    };
  });
  const used = rows.filter(({ cells }) => cells.some(([, many]) => many > 1e-9));
  const most = Math.max(...used.flatMap(({ cells }) => cells.map(([, many]) => many)));
  const [from, to] = [range.from.valueOf() / 1_000, range.to.valueOf() / 1_000];
  const step = Math.max(2, (to - from) / 150);
  const across = (at) => LEFT + ((at - from) / (to - from)) * (width - LEFT);
  const high = (height - BELOW) / used.length;
  const text = { fill: theme.colors.text.primary, fontSize: 12 };
  const ticks = Array.from({ length: 5 }, (_, index) => from + ((to - from) * (index + 0.5)) / 5);
  return (
    <svg width={width} height={height}>
      {used.map(({ le, cells }, index) => (
        <g key={le}>
          <text x={LEFT - 8} y={height - BELOW - index * high - 2} textAnchor="end" {...text}>
            {Number.isFinite(le) ? spell(le) : '+Inf'}
          </text>
          {coarse(cells, step).map(([at, many]) => (
            <rect
              key={at}
              x={across(at)}
              y={height - BELOW - (index + 1) * high + 1}
              width={Math.max(1, across(at + step) - across(at) - 1)}
              height={high - 1}
              fill={colour(many / most)}
            />
          ))}
        </g>
      ))}
      {ticks.map((at) => (
        <text key={at} x={across(at)} y={height - 6} textAnchor="middle" {...text}>
          {new Date(at * 1_000).toISOString().slice(11, 19)}
        </text>
      ))}
    </svg>
  );
}

/** Means over `step` seconds; none where nothing was. */
function coarse(cells, step) {
  const groups = Map.groupBy(cells, ([at]) => Math.floor(at / step) * step);
  return [...groups]
    .map(([at, group]) => [at, group.reduce((sum, [, many]) => sum + many, 0) / group.length])
    .filter(([, many]) => many > 1e-9);
}

function colour(share) {
  return COLOURS[Math.min(COLOURS.length - 1, Math.floor(share * COLOURS.length))];
}
