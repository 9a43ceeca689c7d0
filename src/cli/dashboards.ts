/**
 * `lastchunk dashboards`: prints or writes the shipped Grafana dashboards, adapted to other objectives, labels, titles and data sources.
 * Their queries read the series that `lastchunk rules` records, so both commands need the same options.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { oneOf } from '../core/options.ts';
import { dashboardConfigMap } from '../slo/manifests.ts';
import { retarget, type DashboardOptions } from '../slo/retarget.ts';
import type { Io } from './io.ts';
import { MANIFEST_OPTIONS, manifestHelp, manifestPlaceOf } from './manifest-options.ts';
import { SLO_OPTIONS, SLO_OPTIONS_HELP, sloOptionsOf } from './slo-options.ts';

/** In the package, beside `dist` or `src`. */
const SHIPPED = new URL('../../dashboards/', import.meta.url);

/**
 * Runs the command and resolves to the exit code. Rejects with `bad-option` (or the error of `parseArgs`) for a mistake
 * in the arguments, and with the error of the file system where a file cannot be read or written.
 */
export async function runDashboards(argv: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  if (values.help === true) {
    io.stdout.write(HELP);
    return 0;
  }
  const { datasource, title, out } = values;
  oneOf('--format', values.format, FORMATS, 'json');
  const place = manifestPlaceOf(values, 'configmap');
  const dashboards = await dashboardsFor({
    ...sloOptionsOf(values),
    ...(datasource !== undefined && { datasource }),
    ...(title !== undefined && { title }),
  });
  const files = dashboards.map(([name, dashboard]): [name: string, text: string] =>
    place === undefined
      ? [name, spelt(dashboard)]
      : [name.replace(/json$/, 'yaml'), dashboardConfigMap(name, spelt(dashboard), place)],
  );
  if (out === undefined) {
    const all = spelt(dashboards.map(([, dashboard]) => dashboard));
    const documents = files.map(([, text]) => text).join('---\n');
    io.stdout.write(place === undefined ? all : documents);
    return 0;
  }
  await mkdir(out, { recursive: true });
  for (const [name, text] of files) {
    await writeFile(join(out, name), text);
    io.stdout.write(`${join(out, name)}\n`);
  }
  return 0;
}

/** The file name and the adapted content of each dashboard. */
async function dashboardsFor(
  options: DashboardOptions,
): Promise<[name: string, content: unknown][]> {
  const names = (await readdir(SHIPPED)).filter((name) => name.endsWith('.json')).toSorted();
  return Promise.all(
    names.map(async (name): Promise<[string, unknown]> => [
      name,
      retarget(await readFile(new URL(name, SHIPPED), 'utf8'), options),
    ]),
  );
}

const spelt = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const FORMATS = ['json', 'configmap'] as const;

const OPTIONS = {
  ...SLO_OPTIONS,
  ...MANIFEST_OPTIONS,
  datasource: { type: 'string' },
  title: { type: 'string' },
  out: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `usage: lastchunk dashboards [options]

Prints the Grafana dashboards as a JSON array, or writes each into a file. Give the same options as to \`lastchunk rules\`.

  -o, --out DIR         write lastchunk-saves.json and lastchunk-streams.json into DIR
      --format NAME     json, or configmap: an object for Kubernetes each, which Grafana's sidecar finds
${manifestHelp('configmap', 'what their names begin with')}
      --datasource UID  the Prometheus data source that is chosen at first (default: Grafana's default)
      --title NAME      stands in the titles instead of Lastchunk
${SLO_OPTIONS_HELP}
  -h, --help            this text
`;
