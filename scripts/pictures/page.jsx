/** A dashboard of dashboards/*.json with the answers of a Prometheus, on one page, by Grafana's own components. */
import { createTheme, dateTime } from '@grafana/data';
import { GlobalStyles, PanelChrome, ThemeContext } from '@grafana/ui';
import { createRoot } from 'react-dom/client';
import { Panel } from './panels.jsx';

/** Put there by main.ts: `{ dashboard, answers: { [panel id]: [{ refId, legend, result }] }, from, to, width }`. */
const { dashboard, answers, from, to, width } = window.picture;

const theme = createTheme({ colors: { mode: 'dark' } });
const range = { from: dateTime(from), to: dateTime(to) };

/** As Grafana lays a dashboard out: 24 columns, rows of 30 pixels, 8 between. */
const ROW = 38;
const GAP = 8;
const column = width / 24;
const box = ({ x, y, w, h }) => ({
  position: 'absolute',
  left: x * column + GAP / 2,
  top: y * ROW + GAP,
  width: w * column - GAP,
  height: h * ROW - GAP,
});

function Cell({ panel }) {
  const place = box(panel.gridPos);
  if (panel.type === 'row') {
    return <div style={{ ...place, ...theme.typography.h4, paddingLeft: 4 }}>{panel.title}</div>;
  }
  return (
    <div style={place} data-panel={panel.title}>
      <PanelChrome title={panel.title} width={place.width} height={place.height}>
        {(innerWidth, innerHeight) => (
          <Panel
            panel={panel}
            answers={answers[panel.id]}
            range={range}
            theme={theme}
            width={innerWidth}
            height={innerHeight}
          />
        )}
      </PanelChrome>
    </div>
  );
}

function Page() {
  const rows = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  const background = theme.colors.background.canvas;
  const size = { width, height: rows * ROW + 2 * GAP };
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div id="dashboard" style={{ position: 'relative', background, ...size }}>
        {dashboard.panels.map((panel) => (
          <Cell key={panel.id} panel={panel} />
        ))}
      </div>
    </ThemeContext.Provider>
  );
}

createRoot(document.getElementById('page')).render(<Page />);
