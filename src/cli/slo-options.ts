/** The options that `lastchunk rules` and `lastchunk dashboards` have in common: the objectives as flags. */
import { LastchunkError } from '../core/errors.ts';
import { bad, oneOf } from '../core/options.ts';
import type { SloOptions } from '../slo/index.ts';
import { resolveSlo } from '../slo/settings.ts';
import { SOURCES } from '../slo/source.ts';

/** For `parseArgs`. */
export const SLO_OPTIONS = {
  objective: { type: 'string' },
  timeliness: { type: 'string' },
  window: { type: 'string' },
  label: { type: 'string', multiple: true },
  'min-failures': { type: 'string' },
  runbooks: { type: 'string' },
  dashboards: { type: 'string' },
  speed: { type: 'string' },
  source: { type: 'string' },
} as const;

/** For `--help`. */
export const SLO_OPTIONS_HELP = `\
      --objective P     percentage of message saves that must not fail (default: 99.9)
      --timeliness P    percentage that must be in the database within 2.5 s (default: 99)
      --window DAYS     what the error budget is for, as 28d (default: 30d)
      --label NAME      tell apart by this label beside job, as cluster; may be given again
      --min-failures N  failed saves below which no alert is raised (default: 3)
      --runbooks URL    where the runbooks are: /<AlertName>.md is put behind it (default: our repository)
      --dashboards URL  address of Grafana, for a link from each alert to its dashboard (default: no link)
      --speed N         divide every window and wait by N, for a rehearsal (default: 1)
      --source NAME     prometheus, or otel: series that an OpenTelemetry SDK sends (default: prometheus)`;

/** The values that `parseArgs` returns. */
export type SloFlags = {
  readonly [K in keyof typeof SLO_OPTIONS]?: K extends 'label' ? string[] : string;
};

/** The options of `lastchunk/slo`. Throws `bad-option`, which names the flag and its range, for a value out of range. */
export function sloOptionsOf(flags: SloFlags): SloOptions {
  const { objective, timeliness, window, label, runbooks, dashboards, speed, source } = flags;
  const minFailures = flags['min-failures'];
  const options: SloOptions = {
    ...(objective !== undefined && { objective: numberOf('--objective', objective) }),
    ...(timeliness !== undefined && { timeliness: numberOf('--timeliness', timeliness) }),
    ...(window !== undefined && { windowDays: numberOf('--window', window.replace(/d$/, '')) }),
    ...(label !== undefined && { labels: label }),
    ...(minFailures !== undefined && { minFailures: numberOf('--min-failures', minFailures) }),
    ...(runbooks !== undefined && { runbookUrl: runbooks }),
    ...(dashboards !== undefined && { dashboardUrl: dashboards }),
    ...(speed !== undefined && { speed: numberOf('--speed', speed) }),
    source: oneOf('--source', source, SOURCES, 'prometheus'),
  };
  namedByFlag(() => resolveSlo(options));
  return options;
}

/**
 * Returns what `make` returns. Where `make` refuses an option, the error names the flag instead: the user typed `--window`, not
 * `windowDays`.
 */
export function namedByFlag<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof LastchunkError ? bad(withFlag(error.message)) : error;
  }
}

function withFlag(message: string): string {
  return message.replace(/`(\w+)`/, (quoted, name: string) => {
    const flag = FLAGS[name];
    return flag === undefined ? quoted : `\`${flag}\``;
  });
}

const FLAGS: Readonly<Record<string, string>> = {
  objective: '--objective',
  timeliness: '--timeliness',
  windowDays: '--window',
  labels: '--label',
  minFailures: '--min-failures',
  runbookUrl: '--runbooks',
  dashboardUrl: '--dashboards',
  speed: '--speed',
  source: '--source',
} satisfies Record<keyof SloOptions, string>;

function numberOf(flag: string, text: string): number {
  if (/^\d+(?:\.\d+)?$/.test(text)) return Number(text);
  throw bad(`\`${flag}\` must be a number, not ${JSON.stringify(text.slice(0, 80))}`);
}
