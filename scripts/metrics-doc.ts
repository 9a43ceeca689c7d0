/** The page docs/metrics.md, made from the table, so that it cannot say anything else. */
import type { LabelSets, Metric } from '../src/core/names/metric.ts';
import { ATTRIBUTES, METRICS, SPANS } from '../src/core/names/index.ts';

/** The whole page as Markdown. */
export function metricsDoc(): string {
  const metrics: readonly Metric[] = Object.values(METRICS);
  return [
    '# Metrics and spans',
    '<!-- Made by `tsx scripts/generate.ts` from src/core/names/index.ts. -->',
    'Every metric exists under two names that translate into each other: an OTLP receiver of Prometheus makes the left one from the right one. Do not send both into one Prometheus: everything would count twice. The metrics SDK of OpenTelemetry for JavaScript has a Prometheus exporter that leaves out the unit; use `lastchunk/prometheus` or OTLP instead.',
    'Series with labels exist at 0 before their first event, those of a route from its guard (with the option `route`) or its first stream on, and of `other` and `unmatched` only where there are such streams. Instruments and spans carry the `schemaUrl` of the conventions whose names they use. `route` is the pattern of the route, at most 100 of them and then `other`; `unmatched` is a response without a route. In OpenTelemetry labels are attributes with names of their own: [opentelemetry.md](opentelemetry.md#names) has the table.',
    'In a cluster of workers, give each worker a registry of your own (`prometheus({ registry })`) and name it to the client (`AggregatorRegistry.setRegistries(registry)`). The table says how each gauge adds up. `oldest` is the smallest time that is not 0: there a process that has none has no series, so that it cannot hide what the others wait for.',
    '## Counters and gauges',
    table(
      ['Prometheus', 'OpenTelemetry', 'Type', 'Unit', 'Labels', 'Meaning'],
      metrics
        .filter((metric) => metric.type !== 'histogram')
        .map((metric) => [
          `\`${metric.prometheus}\``,
          `\`${metric.name}\``,
          metric.type === 'gauge' ? `gauge, ${metric.aggregator} over workers` : metric.type,
          `\`${metric.unit}\``,
          labelsIn(metric.labels),
          metric.help,
        ]),
    ),
    '## Histograms',
    'With a registry of our own, observations of sampled traces carry the exemplar `trace_id`.',
    table(
      ['Prometheus', 'OpenTelemetry', 'Labels', 'Buckets (s)', 'Meaning'],
      metrics
        .filter((metric) => metric.type === 'histogram')
        .map((metric) => [
          `\`${metric.prometheus}\``,
          `\`${metric.name}\``,
          labelsIn(metric.labels),
          metric.buckets.join(' '),
          metric.help,
        ]),
    ),
    '## Spans',
    `Instrumentation scope \`lastchunk\`; kind INTERNAL. \`${SPANS.stream} {route}\` is a child of the server span and may outlive it; what a guarded handler does is below it, or below \`${SPANS.handler} {route}\` where its response was no stream. \`${SPANS.save}\` is its child, from due to the result; the database's spans are below it. \`${SPANS.replay}\` is a root span, one for a batch from the journal, with links to its streams. \`${SPANS.resume}\` is a resumed response, with a link to its stream, which another instance may have. The status is ERROR only for the outcomes \`failed\`, \`timed-out\` and \`truncated\`, for a lost message and for a batch that failed; a client that leaves is no error. Durations are in seconds.`,
    `Attributes: ${Object.values(ATTRIBUTES)
      .map((name) => `\`${name}\``)
      .join(', ')}.`,
  ]
    .join('\n\n')
    .concat('\n');
}

function table(head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  // Rows are too long for columns that line up.
  const start = '<!-- prettier-ignore -->';
  return [start, line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function labelsIn(labels: LabelSets): string {
  const all = Object.entries(labels).map(([label, values]) =>
    'atMost' in values ? `\`${label}\`` : `\`${label}\` (${values.join(', ')})`,
  );
  return all.length === 0 ? '–' : all.join('; ');
}
