/**
 * What the OpenTelemetry SDK still holds is sent before the process goes. Spans and metrics leave in batches, seconds
 * after they were made: an app that exits when its messages are safe would take those of its last streams with it.
 */
import { metrics, trace } from '@opentelemetry/api';
import { systemClock, within } from '../guard/clock.ts';

/** Where `@opentelemetry/api-logs` keeps its provider: a function of the version of that API (its `global-utils.ts`). */
const LOGS_API = Symbol.for('io.opentelemetry.js.api.logs');
const LOGS_API_VERSION = 1;

/**
 * Has every provider that is registered export what it holds. Resolves when they have, and after `ms` at the latest;
 * at once without an SDK. Never rejects: an SDK reports its failures to `diag` by itself.
 */
export async function flushTelemetry(ms: number): Promise<void> {
  const providers = [trace.getTracerProvider(), metrics.getMeterProvider(), loggerProvider()];
  const work = Promise.allSettled(providers.map(forceFlush));
  await within(systemClock, ms, work);
}

/** The API hands out stand-ins, which know the provider; a provider without an SDK behind it has nothing to flush. */
async function forceFlush(provider: unknown): Promise<void> {
  if (typeof provider !== 'object' || provider === null) return;
  for (const name of ['getDelegate', '_getDelegate'] as const) {
    const delegate = call(provider, name);
    if (delegate !== undefined && delegate !== provider) return forceFlush(delegate);
  }
  await call(provider, 'forceFlush');
}

function call(target: object, name: string): unknown {
  const method: unknown = Reflect.get(target, name);
  return typeof method === 'function' ? Reflect.apply(method, target, []) : undefined;
}

/** Of logs there is no API in the versions that we are built against. */
function loggerProvider(): unknown {
  const registered: unknown = Reflect.get(globalThis, LOGS_API);
  return typeof registered === 'function'
    ? Reflect.apply(registered, undefined, [LOGS_API_VERSION])
    : undefined;
}
