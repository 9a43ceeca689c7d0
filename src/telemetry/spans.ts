/**
 * Traces: one span for a stream, one for each of its saves. The HTTP server span ends when the response closes, and does not
 * record that a client disconnected; the stream's own span may outlive it and records how the stream ended. Attributes are set
 * once, at the end: a chunk costs a span nothing.
 */
import {
  context,
  createContextKey,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Link,
  type Span,
  type SpanContext,
} from '@opentelemetry/api';
import { errorTypeOf } from '../core/errors.ts';
import type { Save } from '../core/save-port.ts';
import type { Outcome } from '../core/message.ts';
import type {
  JournaledMessage,
  Noise,
  Observer,
  SaveReport,
  StreamSummary,
  StreamView,
} from '../core/observer.ts';
import { ATTRIBUTES, SPANS } from '../core/names/index.ts';
import { hasTracerProvider } from './providers.ts';
import { TracedStream, tracer } from './traced-stream.ts';

/** The outcomes that are errors, and what `error.type` is where nothing better is known. */
const ERRORS: Partial<Record<Outcome, string>> = {
  failed: '_OTHER',
  'timed-out': 'timeout',
  truncated: 'truncated',
};

/** `suppressTracing` of `@opentelemetry/core` sets this key; instrumentations and SDK make no spans under it. */
const QUIET = ROOT_CONTEXT.setValue(
  createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING'),
  true,
);

/** What stream spans have only where the app asks for it. */
export interface SpanContents {
  /** Which conversation they belong to: user data. */
  readonly conversationId?: boolean;
  /** What the answer says of its model: why it stopped, and the tokens that it took. */
  readonly usage?: boolean;
}

/** The form of a provider's finish reason. An attribute without such a check could carry message text. */
const REASON = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/;

/**
 * An observer that traces, and what others ask of the trace. Without an OpenTelemetry SDK all of it does nothing. Throws
 * nothing but what `work` throws.
 */
export class StreamSpans implements Observer {
  readonly #streams = new WeakMap<StreamView, TracedStream>();
  readonly #inSpans: SpanContents;

  constructor(inSpans: SpanContents = {}) {
    this.#inSpans = inSpans;
  }

  /**
   * Runs a guarded handler, so that the spans it makes are below that of its stream. `leave` must follow where no stream
   * comes of it. Throws what `work` throws.
   */
  handle<T>(stream: StreamView, work: () => T): T {
    // A second guard of one response; or there is no tracer provider, and no span to create.
    if (this.#streams.has(stream) || !hasTracerProvider()) return work();
    const traced = new TracedStream(stream, context.active());
    this.#streams.set(stream, traced);
    return context.with(traced.lazyContext, work);
  }

  /** The response turned out to be no stream, or there was none. May be called again. */
  leave(stream: StreamView): void {
    this.#streams.get(stream)?.endAsHandler();
    this.#streams.delete(stream);
  }

  onStart(stream: StreamView): void {
    const parent = context.active();
    const known = this.#streams.get(stream);
    // No tracer provider: there is no span to create, and no span of a request to write to.
    if (known === undefined && parent === ROOT_CONTEXT && !hasTracerProvider()) return;
    const traced = known ?? new TracedStream(stream, parent);
    traced.begin();
    if (parent === ROOT_CONTEXT && !isSpanContextValid(traced.span.spanContext())) return;
    this.#streams.set(stream, traced);
  }

  onDisconnect(stream: StreamView): void {
    const server = this.#streams.get(stream)?.server;
    // An SDK warns of what is written to a span that has ended.
    if (server?.isRecording() === true) server.setAttribute(ATTRIBUTES.outcome, 'disconnected');
  }

  onDue(stream: StreamView): void {
    const traced = this.#streams.get(stream);
    if (traced !== undefined) traced.save ??= startSave(traced);
  }

  onSave(report: SaveReport): void {
    const traced = report.stream === undefined ? undefined : this.#streams.get(report.stream);
    if (traced !== undefined) endSave(traced, report);
  }

  onEnd(summary: StreamSummary): void {
    const span = this.#streams.get(summary.stream)?.span;
    if (span === undefined) return;
    const { conversationId, usage } = this.#inSpans;
    const named = conversationId === true ? summary.stream.conversationId : undefined;
    if (typeof named === 'string') span.setAttribute(ATTRIBUTES.conversationId, named);
    if (usage === true) span.setAttributes(present(modelAttributes(summary)));
    endStream(span, summary);
  }

  onNoise(stream: StreamView, { reason }: Noise): void {
    const span = this.#streams.get(stream)?.span;
    // Most often the error comes before the last save has its result; afterwards there is no span to write to.
    if (span?.isRecording() === true) span.setAttribute(ATTRIBUTES.noiseReason, reason);
  }

  /** The span of a dead process's stream has never ended; this one says what became of its message. */
  onRecovered(result: 'saved' | 'refused', message: JournaledMessage): void {
    const options = { kind: SpanKind.INTERNAL, links: linksTo(message) };
    const span = tracer().startSpan(SPANS.save, options, ROOT_CONTEXT);
    span.setAttribute(ATTRIBUTES.streamId, message.streamId);
    span.setAttribute(ATTRIBUTES.saveResult, result === 'saved' ? 'saved' : 'lost');
    if (result === 'refused') fail(span, '_OTHER');
    span.end();
  }

  /** A response that goes on with a stream, of this process or of another one. Returns what ends its span. */
  resume({ id, traceparent }: { readonly id: string; readonly traceparent: string | null }) {
    const options = { kind: SpanKind.INTERNAL, links: linksTo({ traceparent }) };
    const span = tracer().startSpan(SPANS.resume, options);
    span.setAttribute(ATTRIBUTES.streamId, id);
    return (): void => span.end();
  }

  /** Runs a store call in the context of this save's span, so that the database's spans are its children. */
  around<T>(save: Pick<Save, 'stream'>, work: () => T): T {
    const traced = this.#streams.get(save.stream);
    if (traced === undefined) return work();
    traced.save ??= startSave(traced);
    return context.with(trace.setSpan(traced.context, traced.save), work);
  }

  /** Runs the store call of a replayed batch in its own span, linked to the streams of the batch. */
  async aroundReplay<T>(messages: readonly JournaledMessage[], work: () => Promise<T>): Promise<T> {
    const links = messages.flatMap(linksTo);
    const attributes = { [ATTRIBUTES.messages]: messages.length };
    const options = { kind: SpanKind.INTERNAL, links, attributes };
    const span = tracer().startSpan(SPANS.replay, options, ROOT_CONTEXT);
    try {
      // Not sampled: then the database's spans would be roots of their own, one for each try of a database that is away.
      const quiet = !isSampled(span.spanContext());
      return await context.with(quiet ? QUIET : trace.setSpan(ROOT_CONTEXT, span), work);
    } catch (error) {
      fail(span, errorTypeOf(error));
      throw error;
    } finally {
      span.end();
    }
  }

  /** Runs background work that no request asked for: what it calls makes no spans. */
  quietly<T>(work: () => T): T {
    return context.with(QUIET, work);
  }

  /** W3C `traceparent` of the stream's span; `null` when there is no trace. */
  traceparentOf(stream: StreamView): string | null {
    const span = this.#validContext(stream);
    return span === undefined ? null : (traceparentFrom(span) ?? null);
  }

  /** The trace id as 32 hex digits; `null` when there is no trace. */
  traceIdOf(stream: StreamView): string | null {
    return this.#validContext(stream)?.traceId ?? null;
  }

  /** The trace id, if the trace is sampled: an exemplar must lead to a trace that exists. */
  sampledTraceIdOf(stream: StreamView): string | undefined {
    const span = this.#validContext(stream);
    return span !== undefined && isSampled(span) ? span.traceId : undefined;
  }

  #validContext(stream: StreamView): SpanContext | undefined {
    const span = this.#streams.get(stream)?.span.spanContext();
    return span !== undefined && isSpanContextValid(span) ? span : undefined;
  }
}

function endStream(span: Span, summary: StreamSummary): void {
  const { stream, outcome, save } = summary;
  span.setAttributes(
    present({
      [ATTRIBUTES.format]: stream.format,
      [ATTRIBUTES.outcome]: outcome,
      [ATTRIBUTES.side]: summary.side,
      [ATTRIBUTES.chunks]: stream.chunks,
      [ATTRIBUTES.bytes]: stream.bytes,
      [ATTRIBUTES.chunksAfterDisconnect]: summary.chunksAfterDisconnect || undefined,
      [ATTRIBUTES.timeToFirstChunk]: toSeconds(summary.timeToFirstChunkMs),
      [ATTRIBUTES.maxChunkGap]: toSeconds(summary.maxChunkGapMs),
      [ATTRIBUTES.backpressure]: toSeconds(summary.backpressureMs),
      [ATTRIBUTES.hold]: toSeconds(summary.holdMs),
      [ATTRIBUTES.saveResult]: save,
      [ATTRIBUTES.saveAttempts]: save === undefined ? undefined : summary.saveAttempts,
    }),
  );
  const fallback = ERRORS[outcome] ?? (save === 'lost' ? '_OTHER' : undefined);
  if (fallback !== undefined) fail(span, summary.errorType ?? fallback);
  span.end();
}

function modelAttributes({ finishReason, usage }: StreamSummary): Attributes {
  const isWord = finishReason !== undefined && REASON.test(finishReason);
  return {
    // One for each generation, of which a stream that is kept has one.
    [ATTRIBUTES.finishReasons]: isWord ? [finishReason] : undefined,
    [ATTRIBUTES.inputTokens]: usage?.inputTokens,
    [ATTRIBUTES.outputTokens]: usage?.outputTokens,
  };
}

function startSave(traced: TracedStream, startTime?: number): Span {
  const options = { kind: SpanKind.INTERNAL, ...(startTime !== undefined && { startTime }) };
  return tracer().startSpan(SPANS.save, options, traced.context);
}

function endSave(traced: TracedStream, report: SaveReport): void {
  // A revised save that was not the first of its batch has no span yet; a late result belongs to one that has ended.
  const span =
    traced.save ??
    (report.kind === 'revised' ? startSave(traced, Date.now() - report.durationMs) : undefined);
  traced.save = undefined;
  if (span === undefined) return;
  span.setAttribute(ATTRIBUTES.saveResult, report.result);
  span.setAttribute(ATTRIBUTES.saveAttempts, report.attempts);
  if (report.result === 'lost') fail(span, report.errorType ?? '_OTHER');
  span.end();
}

function linksTo({ traceparent }: Pick<JournaledMessage, 'traceparent'>): Link[] {
  const linked = parseTraceparent(traceparent);
  return linked === undefined ? [] : [{ context: linked }];
}

/** No description: an error's message may repeat what a user wrote. */
function fail(span: Span, errorType: string): void {
  span.setAttribute(ATTRIBUTES.errorType, errorType);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function isSampled(span: SpanContext): boolean {
  return (span.traceFlags & TraceFlags.SAMPLED) !== 0;
}

function toSeconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

function present(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

/** W3C form of a span's identity (w3.org/TR/trace-context), which the journal keeps for the process that replays the message. */
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;

/** `undefined` for an identity that is all zeros: there was no trace. */
export function traceparentFrom(span: SpanContext): string | undefined {
  if (!isSpanContextValid(span)) return undefined;
  const flags = (span.traceFlags & 0xff).toString(16).padStart(2, '0');
  return `00-${span.traceId}-${span.spanId}-${flags}`;
}

/** `undefined` for anything that is not a valid `traceparent`. */
export function parseTraceparent(value: string | null): SpanContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(value ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(span) ? span : undefined;
}
