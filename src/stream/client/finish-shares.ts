/**
 * Counts the streams of one guard that outlive their clients now: all together, and by key. Without keys, one client that opens
 * streams and leaves them would use up the places that others need to have their answers finished.
 */
import { boundIdentifier } from '../../core/identifiers.ts';
import { isReference } from '../../core/values.ts';
import type { RoutedRequest } from '../response/exchange.ts';
import type { StreamSettings } from '../settings.ts';

/** Counts the streams of one guard that outlive their clients. */
export class FinishShares {
  readonly #settings: StreamSettings['finish'];
  #count = 0;
  /** Streams by key; keys without a stream are removed. */
  readonly #byKey = new Map<string, number>();

  constructor(settings: StreamSettings['finish']) {
    this.#settings = settings;
  }

  /** Takes a place; returns the bound that is reached where there is none. Without a key only the guard's bound counts. */
  take(key: string | undefined): 'concurrent' | 'per-key' | undefined {
    const { maxConcurrent, maxConcurrentPerKey } = this.#settings;
    const ofKey = key === undefined ? 0 : (this.#byKey.get(key) ?? 0);
    // The narrower bound first: a key that reached its own bound does not show that the guard's bound is too small.
    if (key !== undefined && ofKey >= maxConcurrentPerKey) return 'per-key';
    if (this.#count >= maxConcurrent) return 'concurrent';
    this.#count += 1;
    if (key !== undefined) this.#byKey.set(key, ofKey + 1);
    return undefined;
  }

  /** Gives back a place that was taken. */
  giveBack(key: string | undefined): void {
    this.#count -= 1;
    if (key === undefined) return;
    const left = (this.#byKey.get(key) ?? 1) - 1;
    if (left > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
  }
}

/**
 * The key of a request; `undefined` where there is none. Called while the client is connected: later its address is unknown. When
 * `finish.key` throws, or returns something other than a string, `onTrouble` receives the error and there is no key.
 */
export function finishKeyOf(
  req: RoutedRequest,
  { key = addressByExpress }: StreamSettings['finish'],
  onTrouble: (error: unknown) => void,
): string | undefined {
  try {
    const given = key(req);
    if (typeof given === 'string') return boundIdentifier(given);
    if (given === undefined || given === null) return undefined;
    throw new TypeError('`finish.key` gave no string');
  } catch (error) {
    onTrouble(error);
    return undefined;
  }
}

/** Express's `req.ip`, only where `trust proxy` is set: without it, all clients behind a load balancer have the same address. */
function addressByExpress(req: RoutedRequest): unknown {
  const { app } = req as { readonly app?: unknown };
  if (!isReference(app) || !('get' in app) || typeof app.get !== 'function') return undefined;
  return app.get('trust proxy') ? (req as { readonly ip?: unknown }).ip : undefined;
}
