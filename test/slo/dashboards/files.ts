/** The committed dashboards, as a Grafana server would read them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../support/imports.ts';

/** A query of a panel in classic JSON. */
export interface Target {
  readonly refId: string;
  readonly expr: string;
  readonly legendFormat: string;
  readonly instant?: boolean;
  readonly exemplar?: boolean;
  readonly datasource: { readonly uid: string };
}

/** A panel in classic JSON: what the tests look at. */
export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description: string;
  readonly datasource: { readonly type: string; readonly uid: string };
  readonly targets: readonly Target[];
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly fieldConfig: {
    readonly defaults: { readonly unit?: string; readonly noValue?: string };
  };
  readonly links?: readonly { readonly title: string; readonly url: string }[];
}

/** A variable in classic JSON. */
export interface Variable {
  readonly name: string;
  readonly type: string;
  readonly label: string;
  readonly query: string;
  readonly multi: boolean;
  readonly allValue?: string;
  readonly refresh?: number;
  readonly datasource?: { readonly uid: string };
}

/** A dashboard in classic JSON. */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly editable: boolean;
  readonly tags: readonly string[];
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly Variable[] };
  readonly annotations: {
    readonly list: readonly { readonly name: string; readonly expr: string }[];
  };
  readonly links: readonly { readonly title: string; readonly url: string }[];
}

/** Name and content of every file in dashboards/. */
export function readDashboards(): { readonly file: string; readonly dashboard: Dashboard }[] {
  const folder = join(ROOT, 'dashboards');
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => ({
      file,
      // Another test holds these files against Grafana's own schema.
      dashboard: JSON.parse(readFileSync(join(folder, file), 'utf8')) as Dashboard,
    }));
}

/** The panels that ask something, rows left out. */
export function panelsOf({ panels }: Dashboard): readonly Panel[] {
  return panels.filter(({ type }) => type !== 'row');
}
