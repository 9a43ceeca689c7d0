/**
 * How many streams of one guard outlive their clients now: all together, and those of one key. Without keys, one client that
 * opens streams and leaves them would use up what others need to have their answers finished.
 */
import { boundIdentifier } from '../../core/identifiers.ts';
import { isReference } from '../../core/values.ts';
import type { RoutedRequest } from '../response/exchange.ts';
import type { StreamSettings } from '../settings.ts';

/** Counts the streams of one guard that outlive their clients. */
export class FinishShares {
  readonly #settings: StreamSettings['finish'];
  #count = 0;
  /** Keys of which there is none are not in it. */
  readonly #byKey = new Map<string, number>();

  constructor(settings: StreamSettings['finish']) {
    this.#settings = settings;
  }

  /** Takes a place; says which bound is reached where there is none. Without a key only the bound of all counts. */
  take(key: string | undefined): 'concurrent' | 'per-key' | undefined {
    const { maxConcurrent, maxConcurrentPerKey } = this.#settings;
    const ofKey = key === undefined ? 0 : (this.#byKey.get(key) ?? 0);
    // The narrower bound first: who has used up his own share is no sign that the guard's is too small.
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
 * Whose share a request is of; `undefined` where nobody says. Asked while the client is there: later its address is not
 * known. What `finish.key` throws, or gives that is no string, is told to `onTrouble` and counts as nothing said.
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

/** Express's `req.ip`, where `trust proxy` says how to find it; without, behind a balancer, all clients would be one. */
function addressByExpress(req: RoutedRequest): unknown {
  const { app } = req as { readonly app?: unknown };
  if (!isReference(app) || !('get' in app) || typeof app.get !== 'function') return undefined;
  return app.get('trust proxy') ? (req as { readonly ip?: unknown }).ip : undefined;
}
