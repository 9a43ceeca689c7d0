/** A receiver for OTLP over HTTP: accepts the exports of SDKs, in JSON or protobuf, and records the spans. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { decodeSpans } from './otlp-protobuf.ts';
import { until } from './until.ts';

/** A span as it was received. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  /** 0 unset, 1 ok, 2 error. */
  readonly status: number;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** A running receiver. */
export interface OtlpReceiver {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Content types of the requests so far, by path: `/v1/traces`, `/v1/metrics`, `/v1/logs`. */
  readonly contentTypes: ReadonlyMap<string, string>;
  /** Bodies of metric exports as text. */
  readonly metrics: readonly string[];
  /** The only span of that name (and kind); waits for it. */
  span(name: string, kind?: number): Promise<ReceivedSpan>;
  close(): Promise<void>;
}

/** Starts a receiver; with `hangs` it accepts requests and never answers. */
export async function startOtlpReceiver({ hangs = false } = {}): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const metrics: string[] = [];
  const contentTypes = new Map<string, string>();
  const take = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const body = await buffer(req);
    const { url = '', headers } = req;
    const type = headers['content-type'] ?? '';
    contentTypes.set(url, type);
    if (url === '/v1/metrics') metrics.push(body.toString('latin1'));
    if (url === '/v1/traces') {
      spans.push(...(type === 'application/json' ? jsonSpans(body) : decodeSpans(body)));
    }
    if (!hangs) res.setHeader('content-type', type).end(type === 'application/json' ? '{}' : '');
  };
  const server = createServer((req, res) => void take(req, res));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    contentTypes,
    metrics,
    span: (name, kind) =>
      until(`the span ${name} arrives`, () =>
        spans.find((one) => one.name === name && (kind === undefined || one.kind === kind)),
      ),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

/** The part of OTLP/JSON that is read here. */
interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly { readonly spans: readonly JsonSpan[] }[];
  }[];
}

interface JsonSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly status?: { readonly code?: number };
  readonly attributes?: readonly {
    readonly key: string;
    readonly value: Readonly<Record<string, unknown>>;
  }[];
}

/** Every span of an export request in JSON. */
export function jsonSpans(body: Buffer): ReceivedSpan[] {
  // The shape that the specification defines for this content type; any other body fails the test.
  const { resourceSpans } = JSON.parse(body.toString()) as TraceRequest;
  const all = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
  return all.map(({ parentSpanId = '', status, attributes = [], ...span }) => ({
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId,
    name: span.name,
    kind: span.kind,
    status: status?.code ?? 0,
    // The value has exactly one member, named by its kind.
    attributes: Object.fromEntries(
      attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
    ),
  }));
}
