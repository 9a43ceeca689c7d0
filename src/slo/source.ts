/**
 * Where the series come from. If OpenTelemetry sends them, Prometheus stores the same metrics with other labels: `http.route`
 * becomes `http_route`. Rules and dashboards are written with the labels of `prometheus()`, and translated for the source at the end.
 */
import { LABEL_ATTRIBUTES, METRICS } from '../core/names/index.ts';

/** `prometheus`: scraped from `lastchunk/prometheus`; `otel`: sent by an OpenTelemetry SDK, translated by Prometheus. */
export const SOURCES = ['prometheus', 'otel'] as const;
/** One of them. */
export type Source = (typeof SOURCES)[number];

/** How one source spells queries. */
export interface Spelling {
  /** Of PromQL, or of Grafana's `label_values`. */
  query(text: string): string;
  /** Of a text with templates in braces; only the text in the braces is translated. */
  template(text: string): string;
}

/** The attribute as a label: Prometheus has no dots. */
const LABELS = Object.entries(LABEL_ATTRIBUTES).map(
  ([label, attribute]) => [label, attribute.replaceAll('.', '_')] as const,
);

/** Default metrics of the Prometheus client, and the same metrics from OpenTelemetry, with the package that sends them. */
const PROCESS = [
  ['process_start_time_seconds', METRICS.processStart.prometheus],
  // @opentelemetry/host-metrics
  ['process_cpu_seconds_total', 'process_cpu_time_seconds_total'],
  ['process_resident_memory_bytes', 'process_memory_usage_bytes'],
  // @opentelemetry/instrumentation-runtime-node
  ['nodejs_eventloop_lag_p99_seconds', 'nodejs_eventloop_delay_p99_seconds'],
] as const;

const IN_OTEL: ReadonlyMap<string, string> = new Map([...LABELS, ...PROCESS]);

/** Labels of ours as Prometheus makes them of attributes. */
export const OTEL_LABELS: readonly string[] = LABELS.map(([, label]) => label);

/** A quoted value, which is not changed, or a word with another spelling. */
const WORDS = new RegExp(String.raw`"[^"]*"|\b(?:${[...IN_OTEL.keys()].join('|')})\b`, 'g');

const otelQuery = (text: string): string =>
  text.replaceAll(WORDS, (word) => IN_OTEL.get(word) ?? word);

const SPELLINGS: Readonly<Record<Source, Spelling>> = {
  prometheus: { query: (text) => text, template: (text) => text },
  otel: {
    query: otelQuery,
    template: (text) => text.replaceAll(/\{\{[^}]*\}\}/g, otelQuery),
  },
};

/** How that source spells queries. */
export function spellingOf(source: Source): Spelling {
  return SPELLINGS[source];
}
