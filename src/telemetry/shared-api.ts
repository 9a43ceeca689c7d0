/** Whether the OpenTelemetry API that we call is the one that an SDK has registered with. */
import { trace } from '@opentelemetry/api';
import { isObject } from '../core/values.ts';

/** Where every copy of the API of major version 1 keeps what is registered (its `global-utils.ts`). */
const REGISTERED = Symbol.for('opentelemetry.js.api.1');

/**
 * False when a tracer provider is registered and our copy of the API does not accept it. It accepts what was registered
 * through a copy of its own minor version or a later one, and says nothing when it does not.
 */
export function sharesApi(): boolean {
  const registered: unknown = Reflect.get(globalThis, REGISTERED);
  if (!isObject(registered) || !('trace' in registered)) return true;
  return registered.trace === undefined || registered.trace === trace.getTracerProvider();
}
