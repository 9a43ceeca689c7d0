/** The error that a call throws. */
import { LastchunkError } from '../../src/index.ts';

/** Returns the `LastchunkError` that `call` throws; throws if it throws another error, or none. */
export function thrownBy(call: () => unknown): LastchunkError {
  try {
    call();
  } catch (error) {
    if (error instanceof LastchunkError) return error;
    throw error;
  }
  throw new Error('it did not throw');
}
