/** The OpenTelemetry SDK as an app sets it up: every stream is a trace, so that a dot in a plot can lead to one. */
import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { TracerProvider } from '@opentelemetry/sdk-trace';

/**
 * Sends spans to `endpoint`, which the SDK reads from OTEL_EXPORTER_OTLP_ENDPOINT by itself; without one they are made
 * (observations carry their ids) and go nowhere. Returns the end of it.
 */
export function startTracing(endpoint: string | undefined): () => Promise<void> {
  if (endpoint !== undefined) {
    const sdk = new NodeSDK({ serviceName: 'lastchunk-demo' });
    sdk.start();
    return () => sdk.shutdown();
  }
  const provider = new TracerProvider();
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}
