/** The options of objectives and rules: validated once, with defaults. */
import { bad, oneOf, refuseUnknown, show, wholeNumber } from '../core/options.ts';
import { METRICS } from '../core/names/index.ts';
import { REPOSITORY } from '../core/version.ts';
import { DAY, spell } from './duration.ts';
import { OTEL_LABELS, type Source, SOURCES, type Spelling, spellingOf } from './source.ts';
import { BURN_WINDOWS, burnFactor, rounded } from './windows.ts';

/** Options of everything in `lastchunk/slo`. */
export interface SloOptions {
  /**
   * Percentage of message saves that must not fail. Default 99.9: one of a thousand messages is the whole budget. Below 100, and
   * at least so high that a burn-rate alert can fire (93.1 for 30 days).
   */
  readonly objective?: number;
  /** Percentage of message saves that must be in the database within 2.5 s. Default 99; the same range. */
  readonly timeliness?: number;
  /** Days that the budget is for, 7 to 90. Default 30, for which the burn rates are the well-known 14.4, 6, 3 and 1. */
  readonly windowDays?: number;
  /** Labels by which series are grouped in addition to `job`, such as `cluster` or `namespace`. Default none. */
  readonly labels?: readonly string[];
  /** The least number of failed saves in the long window for a page, whatever the ratio. Default 3, 1 to 1 000. */
  readonly minFailures?: number;
  /**
   * Where the runbooks are: `/<AlertName>.md` is appended to it. An address, such as that of `keep.statusHandler()`; dashboards
   * also take a path on Grafana's own server. Default: `docs/runbooks` in our repository.
   */
  readonly runbookUrl?: string;
  /** The address of Grafana, for links from alerts to the shipped dashboards. Default: alerts have no such link. */
  readonly dashboardUrl?: string;
  /**
   * Divides every window, wait and age, for a test that must not take days; the names stay. Default 1, 1 to 60.
   * Times of the app itself (2.5 s for a save, 20 s for a pending one) are not divided.
   */
  readonly speed?: number;
  /**
   * Where the series come from: `prometheus` (default), scraped from `lastchunk/prometheus`; `otel`, sent by an OpenTelemetry SDK
   * and translated by Prometheus, with labels such as `http_route` in place of `route`.
   */
  readonly source?: Source;
}

/** The options with their defaults, and spans of time in the spelling of rules. */
export interface Slo {
  /** 0 to 1. */
  readonly objective: number;
  readonly timeliness: number;
  readonly periodSeconds: number;
  /** `job` and the further labels. */
  readonly by: readonly string[];
  readonly minFailures: number;
  readonly runbookUrl: string;
  readonly dashboardUrl: string | undefined;
  readonly source: Source;
  /** How the source spells queries. */
  readonly spelling: Spelling;
  /** Real seconds of a span, after `speed`. */
  seconds(nominal: number): number;
  /** The same as PromQL writes it. */
  span(nominal: number): string;
}

const KEYS: readonly (keyof SloOptions)[] = [
  'objective',
  'timeliness',
  'windowDays',
  'labels',
  'minFailures',
  'runbookUrl',
  'dashboardUrl',
  'speed',
  'source',
];

/** Throws `bad-option` for an unknown option and for a value outside of its range. */
export function resolveSlo(options: SloOptions = {}): Slo {
  refuseUnknown('the objectives', options, KEYS);
  const days = wholeNumber('windowDays', options.windowDays, { min: 7, max: 90, fallback: 30 });
  const speed = wholeNumber('speed', options.speed, { min: 1, max: 60, fallback: 1 });
  const source = oneOf('source', options.source, SOURCES, 'prometheus');
  const periodSeconds = days * DAY;
  const seconds = (nominal: number): number => nominal / speed;
  return {
    objective: ratio('objective', options.objective ?? 99.9, periodSeconds),
    timeliness: ratio('timeliness', options.timeliness ?? 99, periodSeconds),
    periodSeconds,
    by: ['job', ...furtherLabels(options.labels ?? [])],
    minFailures: wholeNumber('minFailures', options.minFailures, {
      min: 1,
      max: 1_000,
      fallback: 3,
    }),
    runbookUrl: base('runbookUrl', options.runbookUrl ?? RUNBOOKS),
    dashboardUrl:
      options.dashboardUrl === undefined ? undefined : base('dashboardUrl', options.dashboardUrl),
    source,
    spelling: spellingOf(source),
    seconds,
    span: (nominal) => spell(seconds(nominal)),
  };
}

/** With a lower objective the fastest burn rate would be above a ratio of 1, so its alert could never fire. */
function ratio(name: string, percent: number, periodSeconds: number): number {
  const fastest = Math.max(
    ...Object.values(BURN_WINDOWS).map((window) => burnFactor(window, periodSeconds)),
  );
  const least = Math.ceil((100 - 100 / fastest) * 10) / 10;
  if (Number.isFinite(percent) && percent >= least && percent < 100) return rounded(percent / 100);
  throw bad(
    `\`${name}\` must be a percentage from ${least} to below 100 (lower, and the burn-rate alert ` +
      `could not come), not ${show(percent)}`,
  );
}

function furtherLabels(labels: readonly string[]): readonly string[] {
  for (const [index, label] of labels.entries()) {
    if (!/^[a-zA-Z_]\w*$/.test(label) || label.startsWith('__')) {
      throw bad(`\`labels\` must be names of Prometheus labels, not ${show(label)}`);
    }
    if (TAKEN.includes(label) || labels.indexOf(label) !== index) {
      throw bad(`\`labels\` must not name ${show(label)}: the rules use it already`);
    }
  }
  return labels;
}

/** Labels that the rules, the alerts or lastchunk's own metrics use. */
const TAKEN: readonly string[] = [
  'job',
  'instance',
  'le',
  'alertname',
  'alertstate',
  'severity',
  'slo',
  'long',
  'short',
  'cause',
  ...Object.values(METRICS).flatMap(({ labels }) => Object.keys(labels)),
  ...OTEL_LABELS,
];

/** The default address of the runbooks: those of our repository. */
const RUNBOOKS = `${REPOSITORY}/blob/main/docs/runbooks`;

/** An address, or for runbooks a path on the same server, without slashes at its end. */
function base(name: 'runbookUrl' | 'dashboardUrl', given: string): string {
  const trimmed = given.replace(/\/+$/, '');
  const allowed = name === 'runbookUrl' ? /^(?:https?:\/)?\/[^\s{}]+$/ : /^https?:\/\/[^\s{}]+$/;
  if (allowed.test(trimmed)) return trimmed;
  throw bad(`\`${name}\` must be an address, such as https://…, not ${show(given)}`);
}
