/**
 * The span of one stream. A handler calls its model before it writes, that is, before it is known that its response is a stream;
 * and the parent of a span is fixed when the span starts. So a guarded handler runs in a context whose span is started lazily: by
 * the first child span of the handler, or else by the stream itself. If the response turns out not to be a stream, a started
 * span is named `handler`, so that its children keep their parent.
 */
import {
  createContextKey,
  SpanKind,
  trace,
  type Attributes,
  type Context,
  type Span,
} from '@opentelemetry/api';
import { ATTRIBUTES, SCHEMA_URL, SPANS } from '../core/names/index.ts';
import type { StreamView } from '../core/observer.ts';
import { isObject } from '../core/values.ts';
import { VERSION } from '../core/version.ts';

/** Under this key the API keeps the active span (its `context-utils.ts`). */
const SPAN = createContextKey('OpenTelemetry Context Key SPAN');

/** Under this key `@opentelemetry/core` keeps the request's span, whatever span is active (its `rpc-metadata.ts`). */
const RPC_METADATA = createContextKey('OpenTelemetry SDK Context Key RPC_METADATA');

/** The trace state of one stream, or of a response that may become one. */
export class TracedStream {
  /** Of the save that has no result yet. */
  save: Span | undefined;
  readonly #stream: StreamView;
  readonly #parent: Context;
  #span: Span | undefined;

  /** `parent`: what the handler was called in. Starts nothing. */
  constructor(stream: StreamView, parent: Context) {
    this.#stream = stream;
    this.#parent = parent;
  }

  /** The span, which is started if it was not. */
  get span(): Span {
    this.#span ??= tracer().startSpan(
      nameOf(SPANS.stream, this.#stream),
      {
        kind: SpanKind.INTERNAL,
        startTime: this.#stream.startedAtMs,
        // At the start, so that a sampler can decide by them.
        attributes: {
          ...routeOf(this.#stream),
          [ATTRIBUTES.method]: this.#stream.method,
          [ATTRIBUTES.streamId]: this.#stream.id,
          [ATTRIBUTES.guarded]: this.#stream.guarded,
        },
      },
      this.#parent,
    );
    return this.#span;
  }

  /** The span of the request, where something else traces requests: as its instrumentation says, else the active one. */
  get server(): Span | undefined {
    const metadata: unknown = this.#parent.getValue(RPC_METADATA);
    const known = isObject(metadata) && 'span' in metadata;
    // What instrumentations put there is the span of the API they share with us.
    return known ? (metadata.span as Span) : trace.getSpan(this.#parent);
  }

  /** With the span of the stream in it. */
  get context(): Context {
    return trace.setSpan(this.#parent, this.span);
  }

  /** The same, but the span begins only when it is first read. */
  get lazyContext(): Context {
    return new LazyContext(this.#parent, () => this.span);
  }

  /** It is a stream, and its route is known. */
  begin(): void {
    if (this.#span === undefined) return void this.span;
    this.#span.updateName(nameOf(SPANS.stream, this.#stream));
    this.#span.setAttributes(routeOf(this.#stream));
  }

  /** It is none. */
  endAsHandler(): void {
    this.#span?.updateName(nameOf(SPANS.handler, this.#stream));
    this.#span?.setAttributes(routeOf(this.#stream));
    this.#span?.end();
  }
}

/** A context whose span is started when it is first read. */
class LazyContext implements Context {
  readonly #rest: Context;
  readonly #span: () => Span;

  constructor(rest: Context, span: () => Span) {
    this.#rest = rest;
    this.#span = span;
  }

  getValue(key: symbol): unknown {
    return key === SPAN ? this.#span() : this.#rest.getValue(key);
  }

  setValue(key: symbol, value: unknown): Context {
    const rest = this.#rest.setValue(key, value);
    return key === SPAN ? rest : new LazyContext(rest, this.#span);
  }

  deleteValue(key: symbol): Context {
    const rest = this.#rest.deleteValue(key);
    return key === SPAN ? rest : new LazyContext(rest, this.#span);
  }
}

/** Asked for every time: an SDK may start, or be replaced, after us. */
export function tracer(): ReturnType<typeof trace.getTracer> {
  return trace.getTracerProvider().getTracer('lastchunk', VERSION, { schemaUrl: SCHEMA_URL });
}

function nameOf(name: string, stream: StreamView): string {
  return isMatched(stream) ? `${name} ${stream.route}` : name;
}

function routeOf(stream: StreamView): Attributes {
  return isMatched(stream) ? { [ATTRIBUTES.route]: stream.route } : {};
}

function isMatched({ route }: StreamView): boolean {
  return route !== '' && route !== 'unmatched';
}
