/**
 * The error class of lastchunk, and the names of errors in labels, spans and log lines. A name is a code or a class, which a programmer
 * wrote; never the message, which may contain text of a user.
 */
import { isObject } from './values.ts';

/** What went wrong, for code that has to tell errors apart; the set is part of the public contract. */
export type LastchunkErrorCode =
  /** An option is unknown, of the wrong type, or out of range. The message names the range. */
  | 'bad-option'
  /** An optional peer dependency that this entry point needs is not installed. */
  | 'missing-peer'
  /** The journal directory that the options name cannot be used. */
  | 'journal-unusable'
  /** The instance was closed; no new work is taken. */
  | 'closed'
  /** The table of the PostgreSQL store is missing or older than this version needs. */
  | 'not-migrated'
  /** The database answered without an error, but its table has no such row: a trigger or a rule suppressed it. */
  | 'not-written';

/**
 * Every error that lastchunk throws: for mistakes that a developer can correct, never for an event of a running stream. Such events are
 * counted and logged, because an observer must not break what it observes. `cause` is the underlying error where there is one.
 */
export class LastchunkError extends Error {
  override readonly name = 'LastchunkError';
  /** What a program may compare; the message is for people. */
  readonly code: LastchunkErrorCode;

  constructor(code: LastchunkErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Matches Node's codes, SQLSTATEs and ours (`not-migrated`), and no sentence. */
const CODE = /^[\w-]{1,64}$/;

/** The `code` of an error, where it can be the value of a label; else `undefined`. */
export function errorCodeOf(error: unknown): string | undefined {
  if (!isObject(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' && CODE.test(error.code) ? error.code : undefined;
}

/**
 * `error.type` of the telemetry: the error's code, else its `name` (`AbortError`), else its class; `_OTHER` for a value that is not an
 * error.
 */
export function errorTypeOf(error: unknown): string {
  const code = errorCodeOf(error);
  if (code !== undefined) return code;
  if (!(error instanceof Error)) return '_OTHER';
  // A class that does not set `name` inherits `Error`: then the name of the class is used.
  const name: unknown = error.name === 'Error' ? error.constructor.name : error.name;
  return typeof name === 'string' && CODE.test(name) ? name : 'Error';
}

/** How deep a chain of causes is followed: deeper ones add nothing, and chains may be cyclic. */
const MAX_CAUSE_DEPTH = 5;

/** The error and its causes, outermost first, at most six. */
export function causesOf(error: unknown): unknown[] {
  const found: unknown[] = [];
  let current = error;
  while (current !== undefined && current !== null && found.length <= MAX_CAUSE_DEPTH) {
    found.push(current);
    current = current instanceof Error ? current.cause : undefined;
  }
  return found;
}

/** PostgreSQL, Appendix A: two characters of a class, three of a condition. Not `EPIPE`, not Prisma's `P2002`. */
const SQLSTATE = /^(?:\d[0-9A-Z]|F0|HV|P0|XX)[0-9A-Z]{3}$/;

/** The SQLSTATE that a store's rejection, or the nearest of its causes, carries as `code`; else `undefined`. */
export function sqlstateOf(error: unknown): string | undefined {
  return causesOf(error)
    .map(errorCodeOf)
    .find((code) => code !== undefined && SQLSTATE.test(code));
}
