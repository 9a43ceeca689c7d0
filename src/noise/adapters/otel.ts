/**
 * `lastchunk/otel`: removes the status ERROR that other instrumentations recorded when a client left. The API cannot reset the status of
 * a span, so the processor passes a view of the span to the next processor; a log record can be changed while it is emitted. Nothing of
 * the OpenTelemetry SDK is imported.
 */
import {
  type CurrentStream,
  currentStream,
  followStreams,
  runInStream,
} from '../../core/current-stream.ts';
import { ATTRIBUTES } from '../../core/names/index.ts';
import { isError } from './line.ts';
import { type FoundNoise, noiseOf } from '../decide.ts';
import { noiseOfSerialised } from './serialised.ts';

/** A span while it lives, as far as it is used here. */
export interface StartedSpan {
  recordException: (exception: never, time?: never) => void;
}

/** A span that has ended, as far as it is used here. */
export interface EndedSpan {
  readonly status: { readonly code: number; readonly message?: string };
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly events: ReadonlyArray<{ readonly name: string }>;
  readonly droppedEventsCount: number;
}

/** The SDK's `SpanProcessor`, over the types of its spans and contexts. */
export interface SpanProcessorOf<Started, Ended, Context> {
  onStart(span: Started, parentContext: Context): void;
  onEnding?(span: Started): void;
  onEnd(span: Ended): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** A log record while it is emitted, as far as it is used here. */
export interface EmittedLogRecord {
  readonly severityNumber?: number | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
  setSeverityNumber(severityNumber: never): unknown;
  setSeverityText(severityText: string): unknown;
  setAttribute(key: string, value: string): unknown;
}

/** The SDK's `LogRecordProcessor`. */
export interface NoiseLogRecordProcessor {
  onEmit(record: EmittedLogRecord): void;
  enabled(): boolean;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** `SpanStatusCode` of the OpenTelemetry API. */
const UNSET = 0;
const ERROR = 2;
/** `SeverityNumber.DEBUG` of its logs data model. */
const DEBUG = 5;

/** What was recorded on a span by `recordException`. */
interface Recorded {
  /** The stream that the span was started in. */
  readonly stream: CurrentStream | undefined;
  readonly messages: unknown[];
  noise: FoundNoise | undefined;
  /** An exception was recorded that is not noise. */
  failed: boolean;
}

/**
 * Creates a processor that passes everything on to `inner`: `noiseSpanProcessor(new BatchSpanProcessor(exporter))`.
 *
 * A span with the status ERROR is passed on with the status UNSET, without `error.type` and with `lastchunk.noise.reason` and
 * `lastchunk.stream.id`, if every exception that it recorded by `recordException` is noise of its stream, and nothing else shows a
 * failure: an exception event from another source, a status message of another error, an HTTP status of 400 or more. In doubt it stays
 * ERROR. The exception event stays in any case.
 */
export function noiseSpanProcessor<Started extends StartedSpan, Ended extends EndedSpan, Context>(
  inner: SpanProcessorOf<Started, Ended, Context>,
): SpanProcessorOf<Started, Ended, Context> {
  followStreams();
  const records = new WeakMap<object, Recorded>();
  return {
    onStart(span, parentContext) {
      inner.onStart(span, parentContext);
      records.set(span, listen(span));
    },
    onEnding: (span) => inner.onEnding?.(span),
    onEnd(span) {
      const noise = noiseOfSpan(span, records.get(span));
      inner.onEnd(noise === undefined ? span : withoutError(span, noise));
    },
    forceFlush: () => inner.forceFlush(),
    shutdown: () => inner.shutdown(),
  };
}

/**
 * Creates a processor that lowers records about noise to DEBUG, with `lastchunk.noise.reason` and `lastchunk.stream.id`. It exports
 * nothing and must come before the processor that exports:
 * `processors: [noiseLogRecordProcessor(), new BatchLogRecordProcessor(exporter)]`.
 */
export function noiseLogRecordProcessor(): NoiseLogRecordProcessor {
  followStreams();
  return {
    onEmit(record) {
      const noise = noiseOfRecord(record);
      if (noise === undefined) return;
      record.setAttribute(ATTRIBUTES.noiseReason, noise.reason);
      record.setAttribute(ATTRIBUTES.streamId, noise.streamId);
      if ((record.severityNumber ?? 0) <= DEBUG) return;
      // `SeverityNumber` is an enum of a package that is not imported; this is its number.
      record.setSeverityNumber(DEBUG as never);
      record.setSeverityText('DEBUG');
    },
    // The exporting processors decide what is enabled.
    enabled: () => false,
    forceFlush: () => Promise.resolve(),
    shutdown: () => Promise.resolve(),
  };
}

/** Wraps `recordException`: an event of a span contains the text of an exception, but not the exception. */
function listen(span: StartedSpan): Recorded {
  const stream = currentStream();
  const recorded: Recorded = { stream, messages: [], noise: undefined, failed: false };
  // Called with what the app gives, whatever that is.
  const original = span.recordException as (this: unknown, ...args: unknown[]) => void;
  span.recordException = function recordException(this: unknown, ...args: unknown[]): void {
    judge(recorded, args[0]);
    return Reflect.apply(original, this, args);
  };
  return recorded;
}

function judge(recorded: Recorded, exception: unknown): void {
  const { stream, messages } = recorded;
  // A listener of a socket runs outside the handler's context, so the stream in which the span was started is used.
  const found =
    stream === undefined ? noiseOf(exception) : runInStream(stream, () => noiseOf(exception));
  recorded.noise ??= found;
  recorded.failed ||= found === undefined;
  messages.push(isError(exception) ? exception.message : undefined);
}

function noiseOfSpan(span: EndedSpan, recorded: Recorded | undefined): FoundNoise | undefined {
  if (span.status.code !== ERROR || recorded === undefined || recorded.failed) return undefined;
  const { message } = span.status;
  const told = span.events.filter(({ name }) => name === 'exception').length;
  const otherwise =
    // Events that a limit dropped, or that were added by `addEvent`, were not judged.
    span.droppedEventsCount > 0 ||
    told > recorded.messages.length ||
    (message !== undefined && message !== '' && !recorded.messages.includes(message)) ||
    STATUS_CODES.some((key) => Number(span.attributes[key]) >= 400);
  return otherwise ? undefined : recorded.noise;
}

/** Of the HTTP conventions, before and after they were stable. */
const STATUS_CODES = ['http.response.status_code', 'http.status_code'];

/** The span as it was, but for status and attributes. */
function withoutError<Ended extends EndedSpan>(span: Ended, noise: FoundNoise): Ended {
  const { [ATTRIBUTES.errorType]: _errorType, ...attributes } = span.attributes;
  const added = { [ATTRIBUTES.noiseReason]: noise.reason, [ATTRIBUTES.streamId]: noise.streamId };
  // It inherits everything else that `Ended` has.
  return Object.create(span, {
    status: { value: { code: UNSET }, enumerable: true },
    attributes: { value: { ...attributes, ...added }, enumerable: true },
  }) as Ended;
}

/** A record never contains the error object: the SDK takes its text, and drops an error that is given as an attribute. */
function noiseOfRecord({ attributes }: EmittedLogRecord): FoundNoise | undefined {
  const {
    'exception.type': type,
    'exception.message': message,
    'exception.stacktrace': stack,
  } = attributes;
  if (typeof type !== 'string' || typeof message !== 'string') return undefined;
  const stacktrace = typeof stack === 'string' ? stack : undefined;
  return noiseOfSerialised({ type, message, stacktrace });
}
