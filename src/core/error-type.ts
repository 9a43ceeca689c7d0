/**
 * The short name of an error, for labels, spans and log lines. It is made of what a programmer wrote (a code, a class),
 * never of the message, which may hold what a user wrote.
 */
import { isObject } from './values.ts';

/** Node's codes, SQLSTATEs and ours (`not-migrated`); nothing that could be a sentence. */
const CODE = /^[\w-]{1,64}$/;

/** The `code` of an error, where it is one that can stand in a label; else `undefined`. */
export function errorCodeOf(error: unknown): string | undefined {
  if (!isObject(error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' && CODE.test(error.code) ? error.code : undefined;
}

/**
 * `error.type` of the telemetry: the error's code, else the name that it goes by (`AbortError`), else its class,
 * `_OTHER` for what is no error.
 */
export function errorTypeOf(error: unknown): string {
  const code = errorCodeOf(error);
  if (code !== undefined) return code;
  if (!(error instanceof Error)) return '_OTHER';
  // Few classes set `name`; one that does not goes by the `Error` it inherits.
  const name: unknown = error.name === 'Error' ? error.constructor.name : error.name;
  return typeof name === 'string' && CODE.test(name) ? name : 'Error';
}

/** An SQLSTATE that a store's rejection carries as `code`; `undefined` for everything else. */
export function sqlstateOf(error: unknown): string | undefined {
  const code = isObject(error) && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}
