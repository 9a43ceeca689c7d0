/** The error that a call throws, for a test that looks at it. */
import { LastchunkError } from '../../src/index.ts';

/** Calls, and returns what it threw; throws when that was none of ours, or nothing. */
export function thrownBy(call: () => unknown): LastchunkError {
  try {
    call();
  } catch (error) {
    if (error instanceof LastchunkError) return error;
    throw error;
  }
  throw new Error('it did not throw');
}
