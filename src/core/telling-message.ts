/**
 * When an error's own words may be repeated. A database says in its message which value it did not like, and that
 * value is what a user wrote; so a log gets a code, and words only where they cannot hold it.
 */
import { LastchunkError } from './errors.ts';
import { sqlstateOf } from './error-type.ts';

/** SQLSTATE classes whose messages speak of the server and its catalogue, never of a value (PostgreSQL, Appendix A). */
const TELLING_CLASSES: readonly string[] = [
  '08', // connection exception
  '25', // invalid transaction state: a read-only replica
  '28', // invalid authorization
  '3D', // invalid catalog name: no such database
  '42', // syntax error or access rule violation: no such table, no permission
  '53', // insufficient resources: disk full, too many connections
  '57', // operator intervention: shutdown, cancelled statement
  '58', // system error
];

/** The error's own words, where they cannot repeat what a user wrote; else `undefined`. */
export function tellingMessage(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const sqlstate = sqlstateOf(error);
  const known = sqlstate !== undefined && TELLING_CLASSES.includes(sqlstate.slice(0, 2));
  // `syscall` is on every error that Node's sockets and files make.
  return known || 'syscall' in error || error instanceof LastchunkError ? error.message : undefined;
}
