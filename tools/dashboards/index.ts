/**
 * Makes dashboards/*.json. This code is not shipped: `lastchunk dashboards` changes the finished files (src/slo/retarget.ts). It takes
 * options only so that a test can compare the two.
 */
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { RUNBOOKS_IN_GRAFANA } from '../../src/slo/retarget.ts';
import { resolveSlo, type SloOptions } from '../../src/slo/settings.ts';
import type { Board } from './panel.ts';
import { render } from './render.ts';
import { savesBoard } from './saves.ts';
import { createScope, type Scope } from './scope.ts';
import { streamsBoard } from './streams.ts';

/**
 * Both dashboards as data. The options are those of the rules, and must be the same: queries read the recorded series.
 * Only `runbookUrl` has another default: a path that a browser opens at Grafana's server. Throws `bad-option`.
 */
export function boards(options: SloOptions = {}): {
  readonly scope: Scope;
  readonly boards: Board[];
} {
  const scope = createScope(resolveSlo({ runbookUrl: RUNBOOKS_IN_GRAFANA, ...options }));
  return { scope, boards: [savesBoard(scope), streamsBoard(scope)] };
}

/** Both dashboards as Grafana imports them. Throws `bad-option`. */
export function dashboards(options: SloOptions = {}): Dashboard[] {
  const made = boards(options);
  return made.boards.map((board) => render(board, made.scope));
}

/** The file name and content of each dashboard, as committed in dashboards/. Throws `bad-option`. */
export function dashboardFiles(options: SloOptions = {}): [name: string, json: string][] {
  return dashboards(options).map((dashboard) => [
    `${dashboard.uid ?? ''}.json`,
    `${JSON.stringify(dashboard, null, 2)}\n`,
  ]);
}
