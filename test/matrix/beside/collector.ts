/**
 * A server that stands for the services of all tools: takes spans as OTLP, as envelopes of Sentry and as what dd-trace sends
 * to its agent, and gives them one shape.
 */
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import { isRecord } from '../../../src/core/values.ts';
import { jsonSpans, type ReceivedSpan } from '../../support/otlp.ts';
import { decodeSpans } from '../../support/otlp-protobuf.ts';
import { addressOf } from './model.ts';

/** A span, whoever sent it. */
export interface ToolSpan extends Omit<ReceivedSpan, 'kind' | 'status'> {
  readonly failed: boolean;
}

/** What has come. */
export interface Collector {
  readonly url: string;
  readonly spans: readonly ToolSpan[];
  /** Types of the exceptions that were reported, the innermost cause first, joined. */
  readonly errors: readonly string[];
  close(): void;
}

/** Starts one; `folder` is where packages are installed. */
export async function startCollector(folder: string): Promise<Collector> {
  const spans: ToolSpan[] = [];
  const errors: string[] = [];
  const take = (path: string, type: string, body: Buffer): void => {
    if (path.endsWith('/v1/traces')) {
      const all = type === 'application/json' ? jsonSpans(body) : decodeSpans(body);
      spans.push(...all.map((span) => ({ ...span, failed: span.status === 2 })));
    } else if (path === '/v0.4/traces') {
      spans.push(...agentSpans(folder, body));
    } else if (path.endsWith('/envelope/')) {
      const items = envelopeItems(body);
      spans.push(...items.flatMap(([kind, item]) => sentrySpans(kind, item)));
      errors.push(
        ...items.flatMap(([kind, item]) => (kind === 'event' ? [exceptionsOf(item)] : [])),
      );
    }
  };
  const server = createServer((req, res) => {
    const read = async (): Promise<void> => {
      const { url = '', headers } = req;
      const body = await buffer(req);
      const isZipped = headers['content-encoding'] === 'gzip';
      take(
        url.split('?')[0] ?? '',
        headers['content-type'] ?? '',
        isZipped ? gunzipSync(body) : body,
      );
      res.setHeader(
        'content-type',
        headers['content-type'] === 'application/x-protobuf'
          ? 'application/x-protobuf'
          : 'application/json',
      );
      if (url === '/info') res.end('{"endpoints":["/v0.4/traces"]}');
      else res.end(headers['content-type'] === 'application/x-protobuf' ? '' : '{}');
    };
    // What it cannot read is missing in the end, and that is told.
    read().catch(() => res.destroy());
  });
  return {
    url: await addressOf(server),
    spans,
    errors,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

type Fields = Readonly<Record<string, unknown>>;

/** MessagePack: an array of traces, each an array of spans with 64-bit numbers. */
function agentSpans(folder: string, body: Buffer): readonly ToolSpan[] {
  // What the package exports.
  const { decode } = createRequire(join(folder, 'x.js'))('@msgpack/msgpack') as {
    decode(bytes: Buffer, options: { readonly useBigInt64: true }): unknown;
  };
  return listOf(decode(body, { useBigInt64: true }))
    .flatMap(listOf)
    .map(fieldsOf)
    .map((span) => ({
      traceId: String(span['trace_id']),
      spanId: String(span['span_id']),
      parentSpanId:
        span['parent_id'] === 0n || span['parent_id'] === 0 ? '' : String(span['parent_id']),
      name: String(span['resource']),
      failed: Number(span['error']) === 1,
      attributes: fieldsOf(span['meta']),
    }));
}

/** Lines of JSON: a header, then for each item one about it and itself. */
function envelopeItems(body: Buffer): readonly (readonly [kind: unknown, item: Fields])[] {
  const [, ...lines] = body.toString().trimEnd().split('\n');
  return lines.flatMap((line, at) => {
    if (at % 2 === 1) return [];
    return [
      [fieldsOf(JSON.parse(line))['type'], fieldsOf(JSON.parse(lines[at + 1] ?? '{}'))] as const,
    ];
  });
}

/** Sentry 10 sends a transaction, which is a span with those below it, Sentry 11 each as an item of a list. */
function sentrySpans(kind: unknown, item: Fields): readonly ToolSpan[] {
  if (kind === 'span') {
    return listOf(item['items'])
      .map(fieldsOf)
      .map((span) => {
        const attributes = Object.entries(fieldsOf(span['attributes']));
        const values = attributes.map(([key, one]) => [key, fieldsOf(one)['value']] as const);
        return sentrySpan(span, span['name'], Object.fromEntries(values));
      });
  }
  if (kind !== 'transaction') return [];
  const root = fieldsOf(fieldsOf(item['contexts'])['trace']);
  const below = listOf(item['spans']).map(fieldsOf);
  return [
    sentrySpan(root, item['transaction'], fieldsOf(root['data'])),
    ...below.map((span) => sentrySpan(span, span['description'], fieldsOf(span['data']))),
  ];
}

/** `cancelled` is Sentry's word for what nobody waited for. */
const FINE: readonly unknown[] = [undefined, 'ok', 'cancelled'];

function sentrySpan(span: Fields, name: unknown, attributes: Fields): ToolSpan {
  return {
    traceId: String(span['trace_id']),
    spanId: String(span['span_id']),
    parentSpanId: textOf(span['parent_span_id']),
    name: textOf(name),
    failed: !FINE.includes(span['status']),
    attributes,
  };
}

function exceptionsOf(event: Fields): string {
  const values = listOf(fieldsOf(event['exception'])['values']).map(fieldsOf);
  return values.map(({ type }) => String(type)).join(', ');
}

function fieldsOf(value: unknown): Fields {
  return isRecord(value) ? value : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
