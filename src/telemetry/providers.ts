/** The providers of the SDK that is registered now, behind the stand-ins that the OpenTelemetry API hands out. */
import { metrics, trace } from '@opentelemetry/api';
import { isObject } from '../core/values.ts';

/** Where `@opentelemetry/api-logs` keeps its provider: a function of the version of that API (its `global-utils.ts`). */
const LOGS_API = Symbol.for('io.opentelemetry.js.api.logs');
const LOGS_API_VERSION = 1;

/** Each a provider of the SDK, or the API's own, which does nothing; of logs the API that we are built against knows none. */
export interface Providers {
  readonly traces: object;
  readonly metrics: object;
  readonly logs: object | undefined;
}

/** Asked for every time: an SDK may start, or be replaced, at any time. */
export function registeredProviders(): Providers {
  const logs = loggerProvider();
  return {
    traces: behind(trace.getTracerProvider()),
    metrics: behind(metrics.getMeterProvider()),
    logs: isObject(logs) ? behind(logs) : undefined,
  };
}

/** The stand-ins of traces and of logs name the same method differently. */
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
