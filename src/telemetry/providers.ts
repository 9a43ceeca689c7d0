/**
 * The OpenTelemetry SDK that the app has registered: its providers behind the API's proxies, whether our copy of the API
 * sees them, and the flush before the process exits (spans and metrics leave in batches, seconds after they were made).
 */
import { metrics, trace } from '@opentelemetry/api';
import { systemClock, within } from '../core/clock.ts';
import { isObject } from '../core/values.ts';

/** Where every copy of the API of major version 1 keeps what is registered (its `global-utils.ts`). */
const REGISTERED = Symbol.for('opentelemetry.js.api.1');

/** Where `@opentelemetry/api-logs` keeps its provider: a function of the version of that API (its `global-utils.ts`). */
const LOGS_API = Symbol.for('io.opentelemetry.js.api.logs');
const LOGS_API_VERSION = 1;

/** Each a provider of the SDK, or the API's own, which does nothing; of logs the API that we are built against knows none. */
export interface Providers {
  readonly traces: object;
  readonly metrics: object;
  readonly logs: object | undefined;
}

/** Looked up on each call: an SDK may start, or be replaced, at any time. */
export function registeredProviders(): Providers {
  const logs = loggerProvider();
  return {
    traces: behind(trace.getTracerProvider()),
    metrics: behind(metrics.getMeterProvider()),
    logs: isObject(logs) ? behind(logs) : undefined,
  };
}

/**
 * False when a tracer provider is registered and our copy of the API does not accept it. It accepts a registration by a copy of the same
 * minor version or a later one, and ignores any other without an error.
 */
export function sharesApi(): boolean {
  const registered: unknown = Reflect.get(globalThis, REGISTERED);
  if (!isObject(registered) || !('trace' in registered)) return true;
  return registered.trace === undefined || registered.trace === trace.getTracerProvider();
}

/** Whether an SDK for traces is registered with any copy of the API. Costs a few comparisons. */
export function hasTracerProvider(): boolean {
  const registered: unknown = Reflect.get(globalThis, REGISTERED);
  return isObject(registered) && 'trace' in registered && registered.trace !== undefined;
}

/** Whether a logger is set for `diag`; without one, `diag` drops every line. */
export function hasDiagLogger(): boolean {
  const registered: unknown = Reflect.get(globalThis, REGISTERED);
  return isObject(registered) && 'diag' in registered && registered.diag !== undefined;
}

/**
 * Has every registered provider export what it holds. Resolves when they have, and after `ms` at the latest; at once
 * without an SDK. Never rejects: an SDK reports its failures to `diag` by itself.
 */
export async function flushTelemetry(ms: number): Promise<void> {
  const work = Promise.allSettled(Object.values(registeredProviders()).map(forceFlush));
  await within(systemClock, ms, work);
}

/** The API's own providers have nothing to flush. */
async function forceFlush(provider: object | undefined): Promise<void> {
  if (provider === undefined || !('forceFlush' in provider)) return;
  if (typeof provider.forceFlush === 'function') await provider.forceFlush();
}

/** The proxies of traces and of logs name the same method differently. */
function behind(provider: object): object {
  for (const name of ['getDelegate', '_getDelegate']) {
    const method: unknown = Reflect.get(provider, name);
    if (typeof method !== 'function') continue;
    const delegate: unknown = Reflect.apply(method, provider, []);
    if (isObject(delegate) && delegate !== provider) return behind(delegate);
  }
  return provider;
}

function loggerProvider(): unknown {
  const registered: unknown = Reflect.get(globalThis, LOGS_API);
  return typeof registered === 'function'
    ? Reflect.apply(registered, undefined, [LOGS_API_VERSION])
    : undefined;
}
