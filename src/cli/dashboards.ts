/**
 * `lastchunk dashboards`: the Grafana dashboards for other objectives than those of the committed files. Their queries
 * read what `lastchunk rules` records, so both are called with the same options.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { LastchunkError } from '../core/errors.ts';
import type * as Dashboards from '../slo/dashboards/index.ts';
import type { Io } from './io.ts';
import { SLO_OPTIONS, SLO_OPTIONS_HELP, sloOptionsOf } from './slo-options.ts';

/**
 * Runs the command and resolves to the exit code. Rejects with `bad-option` (or the error of `parseArgs`) for a mistake
 * in the arguments, with `missing-peer` where the Foundation SDK of Grafana is not installed, and with the error of the
 * file system where a file cannot be written.
 */
export async function runDashboards(argv: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  if (values.help === true) {
    io.stdout.write(HELP);
    return 0;
  }
  const options = sloOptionsOf(values);
  const { dashboardFiles } = await loadDashboards();
  const files = dashboardFiles(options);
  if (values.out === undefined) {
    io.stdout.write(
      `${JSON.stringify(
        files.map(([, json]) => JSON.parse(json)),
        null,
        2,
      )}\n`,
    );
    return 0;
  }
  await mkdir(values.out, { recursive: true });
  for (const [name, json] of files) {
    await writeFile(join(values.out, name), json);
    io.stdout.write(`${join(values.out, name)}\n`);
  }
  return 0;
}

/** Loaded here and nowhere else: whoever takes the committed dashboards needs no SDK. */
async function loadDashboards(): Promise<typeof Dashboards> {
  try {
    return await import('../slo/dashboards/index.ts');
  } catch (error) {
    if (!isSdkMissing(error)) throw error;
    throw new LastchunkError(
      'missing-peer',
      `dashboards are made with ${SDK}, which is not installed: npm install --save-dev ${SDK}`,
      { cause: error },
    );
  }
}

function isSdkMissing(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    error.code === 'ERR_MODULE_NOT_FOUND' &&
    error.message.includes('@grafana/grafana-foundation-sdk')
  );
}

/** Its API changes from one 0.0.x to the next. */
const SDK = '@grafana/grafana-foundation-sdk@0.0.21';

const OPTIONS = {
  ...SLO_OPTIONS,
  out: { type: 'string', short: 'o' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `usage: lastchunk dashboards [options]

Prints the Grafana dashboards as a JSON array, or writes each into a file. Give the same options as to \`lastchunk rules\`.

  -o, --out DIR         write lastchunk-saves.json and lastchunk-streams.json into DIR
${SLO_OPTIONS_HELP}
  -h, --help            this text
`;
