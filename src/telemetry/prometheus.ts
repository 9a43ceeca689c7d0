/**
 * `lastchunk/prometheus`: the metrics for a Prometheus server, and the handler that it scrapes.
 */
import '../core/supported-node.ts';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bad, refuseUncalled, refuseUnknown } from '../core/options.ts';
import {
  findClient,
  type KnownClient,
  type MetricFamily,
  OPEN_METRICS,
  PLAIN_TEXT,
  type PrometheusClient,
  type PrometheusRegistry,
  type ReadableRegistry,
  type RegisteredMetric,
} from './prometheus-client.ts';
import { createPrometheusSink } from './prometheus-sink.ts';
import type { Sink } from './metric-registry.ts';

export type { PrometheusClient, PrometheusRegistry } from './prometheus-client.ts';
import { isObject } from '../core/values.ts';

/** Options of `prometheus()`. */
export interface PrometheusOptions {
  /** The module `prom-client` 15 or `@prometheus-io/client`. Default: the one that is installed. */
  readonly client?: PrometheusClient;
  /**
   * Your registry: the metrics are added to it, and nothing else in it changes. Default: a separate registry in the OpenMetrics
   * format, with exemplars (label `trace_id`) and the client's default metrics of the process.
   */
  readonly registry?: PrometheusRegistry;
}

/** The metrics of one process; give it to `lastchunk({ metrics })`. */
export interface PrometheusMetrics {
  /** For `lastchunk({ metrics })`; not for the app. */
  readonly sink: Sink;
  /** Where the metrics are: yours, or one of our own. */
  readonly registry: PrometheusRegistry;
  /**
   * An Express or Node handler that answers a scrape; 500 when a metric cannot be read. With a registry of our own, as
   * OpenMetrics to a scraper that accepts it, else as `text/plain; version=0.0.4`.
   */
  handler(): (req: IncomingMessage, res: ServerResponse) => void;
}

/**
 * Makes the metrics. May be called more than once for one registry: the instruments are shared.
 * Throws `missing-peer` when no client is installed and `bad-option` for an option it does not know.
 */
export function prometheus(options: PrometheusOptions = {}): PrometheusMetrics {
  refuseUnknown('prometheus()', options, ['client', 'registry']);
  if (options.registry !== undefined && !isRegistry(options.registry)) {
    throw bad('`registry` must be a registry of prom-client or @prometheus-io/client');
  }
  const client = findClient(options.client, options.registry);
  // A registry that was made by this client has all methods of it.
  const registry = (options.registry ?? new client.Registry(OPEN_METRICS)) as ReadableRegistry;
  if (options.registry === undefined) client.collectDefaultMetrics({ register: registry });
  return {
    sink: createPrometheusSink(client, registry),
    registry,
    handler: (...given: readonly unknown[]) => {
      refuseUncalled('metrics.handler', given[0], 'metrics.handler()');
      return (req, res) => void answer(() => scrape(client, registry, options, req), res);
    },
  };
}

/** What a scrape gets, with its content type. */
interface ScrapeResponse {
  readonly text: string;
  readonly contentType: string;
}

/**
 * A registry of the app answers in its own format. Ours is OpenMetrics, but only a scraper that accepts OpenMetrics can read
 * exemplars; every other scraper gets the plain text format.
 */
async function scrape(
  client: KnownClient,
  registry: ReadableRegistry,
  { registry: given }: PrometheusOptions,
  req: IncomingMessage,
): Promise<ScrapeResponse> {
  const accepted = req.headers.accept ?? '';
  if (given !== undefined || accepted.includes('application/openmetrics-text')) {
    return { text: await registry.metrics(), contentType: registry.contentType };
  }
  const plain = new client.Registry(PLAIN_TEXT);
  for (const metric of registry.getMetricsAsArray()) plain.registerMetric(asPlainText(metric));
  return { text: await plain.metrics(), contentType: plain.contentType };
}

/** In OpenMetrics mode the client removes `_total` from the names of its counters permanently; this restores it. */
function asPlainText(metric: RegisteredMetric): RegisteredMetric {
  const named = (family: MetricFamily): MetricFamily => ({
    ...family,
    name:
      family.type === 'counter' && !family.name.endsWith('_total')
        ? `${family.name}_total`
        : family.name,
  });
  const getForPromString = metric.getForPromString?.bind(metric);
  return {
    name: metric.name,
    get: async () => named(await metric.get()),
    ...(getForPromString !== undefined && {
      getForPromString: async () => named(await getForPromString()),
    }),
  };
}

async function answer(read: () => Promise<ScrapeResponse>, res: ServerResponse): Promise<void> {
  let body: string;
  try {
    const { text, contentType } = await read();
    body = text;
    res.setHeader('Content-Type', contentType);
    res.setHeader('Vary', 'Accept');
  } catch {
    // Prometheus shows a failed scrape as `up == 0`; what a metric of the app threw is not for the wire.
    body = 'the metrics could not be collected\n';
    res.statusCode = 500;
    if (!res.headersSent) res.setHeader('Content-Type', 'text/plain; charset=utf-8');
  }
  // As bytes: Node encodes a text of this size more slowly, half a millisecond for 700 KB.
  res.end(Buffer.from(body));
}

function isRegistry(value: unknown): value is PrometheusRegistry {
  if (!isObject(value)) return false;
  return 'metrics' in value && 'getSingleMetric' in value && 'contentType' in value;
}
