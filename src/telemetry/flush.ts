/**
 * What the OpenTelemetry SDK still holds is sent before the process goes. Spans and metrics leave in batches, seconds
 * after they were made: an app that exits when its messages are safe would take those of its last streams with it.
 */
import { systemClock, within } from '../core/clock.ts';
import { registeredProviders } from './providers.ts';

/**
 * Has every provider that is registered export what it holds. Resolves when they have, and after `ms` at the latest;
 * at once without an SDK. Never rejects: an SDK reports its failures to `diag` by itself.
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
