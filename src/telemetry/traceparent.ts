/** The W3C form of a span's identity (w3.org/TR/trace-context), which the journal keeps for whoever replays it. */
import { isSpanContextValid, type SpanContext } from '@opentelemetry/api';

const FORM = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/;

/** `undefined` for an identity that is all zeros: there was no trace. */
export function traceparentFrom(span: SpanContext): string | undefined {
  if (!isSpanContextValid(span)) return undefined;
  const flags = (span.traceFlags & 0xff).toString(16).padStart(2, '0');
  return `00-${span.traceId}-${span.spanId}-${flags}`;
}

/** `undefined` for anything that is not a valid `traceparent`. */
export function parseTraceparent(value: string | null): SpanContext | undefined {
  const [, traceId, spanId, flags] = FORM.exec(value ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(span) ? span : undefined;
}
