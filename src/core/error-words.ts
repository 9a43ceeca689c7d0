/**
 * When an error's own words may be repeated. A database says in its message which value it did not like, and that
 * value is what a user wrote; so a log gets a code, and words only where they cannot hold it.
 */
import { hasFact } from './error-facts.ts';
import { sqlstateOf } from './errors.ts';

/** The error's own words, where they cannot repeat what a user wrote; else `undefined`. */
export function tellingMessage(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const known = hasFact(sqlstateOf(error), 'loggable');
  // `syscall` is on every error that Node's sockets and files make.
  return known || 'syscall' in error || error.name === 'LastchunkError' ? error.message : undefined;
}
