/**
 * `lastchunk/prometheus`: the metrics for a Prometheus server, and the handler that it scrapes.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { bad, refuseUnknown } from '../core/options.ts';
import {
  findClient,
  OPEN_METRICS,
  type PrometheusClient,
  type PrometheusRegistry,
} from './prometheus-client.ts';
import { createPrometheusSink } from './prometheus-sink.ts';
import type { Sink } from './sink.ts';

export type { PrometheusClient, PrometheusRegistry } from './prometheus-client.ts';
import { isObject } from '../core/values.ts';

export interface PrometheusOptions {
  /** The module `prom-client` 15 or `@prometheus-io/client`. Default: the one that is installed. */
  readonly client?: PrometheusClient;
  /**
   * Your registry: the metrics are added to it and nothing else of it is touched. Default: one of our own, in the
   * OpenMetrics format, with exemplars (label `trace_id`) and the client's default metrics of the process.
   */
  readonly registry?: PrometheusRegistry;
}

/** The metrics of one process; give it to `lastchunk({ metrics })`. */
export interface PrometheusMetrics {
  readonly sink: Sink;
  readonly registry: PrometheusRegistry;
  /** An Express or Node handler that answers a scrape; 500 when a metric cannot be read. */
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
  const registry = options.registry ?? new client.Registry(OPEN_METRICS);
  if (options.registry === undefined) client.collectDefaultMetrics({ register: registry });
  return {
    sink: createPrometheusSink(client, registry),
    registry,
    handler: () => (_req, res) => void answer(registry, res),
  };
}

async function answer(registry: PrometheusRegistry, res: ServerResponse): Promise<void> {
  let body: string;
  try {
    body = await registry.metrics();
    res.setHeader('Content-Type', registry.contentType);
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
