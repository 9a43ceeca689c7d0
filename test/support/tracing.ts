/** A real OpenTelemetry SDK whose spans stay in memory. */
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  BatchSpanProcessor,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
  type ReadableSpan,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';

/**
 * Registers the SDK for the process; call it once per file. Returns every span that has ended. With `hangs`, the spans are also sent to a
 * collector that never answers.
 */
export function installTracing(collector?: 'hangs'): () => readonly ReadableSpan[] {
  const exporter = new InMemorySpanExporter();
  const hanging = { export: () => undefined, shutdown: () => Promise.resolve() };
  const spanProcessors: SpanProcessor[] = [new SimpleSpanProcessor({ exporter })];
  if (collector === 'hangs') spanProcessors.push(new BatchSpanProcessor({ exporter: hanging }));
  const provider = new TracerProvider({ spanProcessors });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  return () => exporter.getFinishedSpans();
}
