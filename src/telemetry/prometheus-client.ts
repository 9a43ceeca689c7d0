/**
 * The Prometheus client of the app: prom-client 15, or its successor under the name @prometheus-io/client. It is
 * loaded from the app's installation or passed in, and is never a dependency: two copies would have two registries.
 * Types are structural, so that the declarations of this package need neither of them.
 */
import { bad } from '../core/options.ts';
import { LastchunkError } from '../core/errors.ts';
import { loadPeer } from '../core/load-peer.ts';
import { isObject } from '../core/values.ts';

/** What is asked of a registry. */
export interface PrometheusRegistry {
  readonly contentType: string;
  /** Everything in the registry, as text in the form of `contentType`. */
  metrics(): Promise<string>;
  getSingleMetric(name: string): unknown;
}

// The clients type their constructors with generics that no structural type can meet; `never` accepts them all.
type Constructor = new (...args: never[]) => object;

/** The module `prom-client` or `@prometheus-io/client`, as `import * as client` gives it. */
export interface PrometheusClient {
  readonly Registry: Constructor;
  readonly Counter: Constructor;
  readonly Gauge: Constructor;
  readonly Histogram: Constructor;
  // A method, whose parameter is compared both ways.
  collectDefaultMetrics(config: never): void;
}

type SeriesLabels = Readonly<Record<string, string>>;

/** One line of a counter or gauge. */
export interface PrometheusSample {
  readonly labels: SeriesLabels;
  /** SeriesLabels whose text the client keeps, by object. */
  readonly sharedLabels?: SeriesLabels;
  readonly value: number;
}

/** All lines of an instrument. */
export interface Family {
  readonly values: readonly PrometheusSample[];
}

/** One instrument. Which of the methods it has depends on its type. */
export interface Instrument {
  collect?: (() => void) | undefined;
  /** What it has now, as JSON and for other processes. */
  get(): Promise<Family>;
  /** The same, to be printed; preferred where it is there. */
  getForPromString?: (() => Promise<Family>) | undefined;
  readonly enableExemplars?: boolean;
  inc(labels: SeriesLabels, value: number): void;
  set(labels: SeriesLabels, value: number): void;
  zero(labels: SeriesLabels): void;
  /** Forgets one series. */
  remove(labels: SeriesLabels): void;
  /** Forgets all series; the app does so by `registry.resetMetrics()`. */
  reset(): void;
  observe(labels: SeriesLabels, value: number): void;
  observe(observation: { labels: SeriesLabels; value: number; exemplarLabels: SeriesLabels }): void;
}

/** What an instrument is made from. */
export interface InstrumentConfig {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly registers: readonly PrometheusRegistry[];
  readonly aggregator?: string;
  readonly buckets?: readonly number[];
  readonly enableExemplars?: boolean;
}

/** All lines of an instrument, with what they are called. */
export interface MetricFamily {
  readonly name: string;
  readonly type: string;
}

/** An instrument as a registry reads it. */
export interface RegisteredMetric {
  readonly name: string;
  get(): Promise<MetricFamily>;
  getForPromString?(): Promise<MetricFamily>;
}

/** A registry with the methods that both clients have beyond those that we ask of an app's. */
export interface ReadableRegistry extends PrometheusRegistry {
  getMetricsAsArray(): readonly RegisteredMetric[];
  registerMetric(metric: RegisteredMetric): void;
}

/** A client as we call it. */
export interface KnownClient {
  readonly Registry: new (contentType: string) => ReadableRegistry;
  readonly Counter: new (config: InstrumentConfig) => Instrument;
  readonly Gauge: new (config: InstrumentConfig) => Instrument;
  readonly Histogram: new (config: InstrumentConfig) => Instrument;
  collectDefaultMetrics(config: { register: PrometheusRegistry }): void;
}

/** Content type of OpenMetrics, the only one that has exemplars. Both clients accept exactly this text. */
export const OPEN_METRICS = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

/** The text format that every scraper and `promtool check metrics` read. */
export const PLAIN_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

const PACKAGES = ['prom-client', '@prometheus-io/client'] as const;
const PARTS = ['Registry', 'Counter', 'Gauge', 'Histogram', 'collectDefaultMetrics'] as const;

/**
 * The client that was handed in, else the installed one; with a `registry`, the one that made it.
 * `load` gives the module of that name, `undefined` where it is not installed.
 * Throws `missing-peer` when none is installed and `bad-option` for something that is no client.
 */
export function findClient(
  client: unknown,
  registry: object | undefined,
  load: (name: string) => unknown = loadInstalled,
): KnownClient {
  if (client !== undefined) {
    if (isClient(client)) return client;
    throw bad('`client` must be the module prom-client or @prometheus-io/client');
  }
  const installed = PACKAGES.map((name) => load(name)).filter(isClient);
  if (installed.length === 0) {
    throw new LastchunkError(
      'missing-peer',
      'lastchunk/prometheus needs prom-client (or @prometheus-io/client) and did not find it: npm install prom-client. In ' +
        "a bundle, or where it is installed elsewhere, hand it in: import client from 'prom-client'; prometheus({ client })",
    );
  }
  const found =
    registry === undefined
      ? installed[0]
      : installed.find((candidate) => registry instanceof candidate.Registry);
  if (found !== undefined) return found;
  throw bad('`registry` was made by another copy of the client: pass that copy as `client` too');
}

/** Not installed and not loadable are the same here: the other client may be there. */
function loadInstalled(name: string): unknown {
  try {
    return loadPeer(name);
  } catch {
    return undefined;
  }
}

/** Narrows to what we call; that the parts behave as named is what the peer's version range says. */
function isClient(value: unknown): value is KnownClient {
  if (!isObject(value)) return false;
  const parts = new Map<string, unknown>(Object.entries(value));
  return PARTS.every((part) => typeof parts.get(part) === 'function');
}
