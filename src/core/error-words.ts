/**
 * Which parts of an error may be written to a log. The message of a database error may contain the rejected value, and errors of triggers
 * and of the app's code may contain any text, so text of users. Therefore a message is logged only where it is certain to come from a
 * server, a driver or lastchunk, without a value; of every other error only names are logged: code, constraint, table, line.
 */
import { hasFact } from './error-facts.ts';
import { causesOf, errorTypeOf, sqlstateOf } from './errors.ts';
import { firstAppFrame } from './stack-frames.ts';

/** Marks errors whose message may be logged. Shared by all copies of this package in a process. */
const SAYABLE = Symbol.for('lastchunk.sayable');

/** Marks an error whose message cannot contain text of a user, such as that of a connection or a password function. Returns it. */
export function markSayable<E>(error: E): E {
  if (error instanceof Error && Object.isExtensible(error)) {
    Object.defineProperty(error, SAYABLE, { value: true });
  }
  return error;
}

/**
 * One sentence about an error for a log: its message where that cannot contain text of a user, else names, and the first line of the app
 * in its stack. Credentials are masked. `undefined` when only its type can be logged.
 */
export function describeError(error: unknown): string | undefined {
  const causes = errorsIn(error);
  const words = wordsOfError(error);
  const frame = causes.every(isThrownByCode) ? causes.map(frameOf).find(Boolean) : undefined;
  if (frame === undefined) return words;
  return `${words ?? maskCredentials(errorTypeOf(causes.at(-1)))} at ${maskCredentials(frame)}`;
}

/** The same without a line of the app, for an error that no code of the app has thrown. */
export function wordsOfError(error: unknown): string | undefined {
  const words = errorsIn(error)
    .map(wordsOf)
    .find((found) => found !== undefined);
  return words === undefined ? undefined : maskCredentials(words);
}

/** The first error of an AggregateError without a message: Node throws one when all addresses of a host refuse the connection. */
export function unwrapAggregate(error: unknown): unknown {
  return error instanceof AggregateError && error.message === '' ? error.errors[0] : error;
}

/** The errors of a chain of causes, outermost first. */
function errorsIn(error: unknown): readonly Error[] {
  return causesOf(unwrapAggregate(error)).filter((cause) => cause instanceof Error);
}

/** Hides the password in everything that looks like an address with one, or like `password=…`. */
export function maskCredentials(text: string): string {
  // Up to the last `@` before a space or a quote, or before the end of the host: a password may contain characters that should be encoded.
  return text
    .replaceAll(/([a-z][a-z0-9+.-]{0,30}:\/\/)(?:[^\s"'`]*|[^/\n@]*)@/gi, '$1***@')
    .replaceAll(/\b(\w*passw(?:or)?d|pwd)\s*=\s*(?:"[^"]*"|'[^']*'|[^\s&"'`]+)/gi, '$1=***');
}

/** The same for a text that is one value as a whole, so that all before its last `@` may be a password. */
export function maskValue(value: string): string {
  const address = value.replace(/^((?:[a-z][a-z0-9+.-]{0,30}:)?[/\\]{2})?.*@/is, '$1***@');
  // An address that is cut within its password, without a host after it. A number in the place of a port is not masked.
  const cut = address.replace(
    /^([a-z][a-z0-9+.-]{0,30}:\/\/)[^/?#@[]*:(?!\d{1,5}(?![^/?#])).*/is,
    '$1***',
  );
  return maskCredentials(cut);
}

function wordsOf(error: Error): string | undefined {
  if (isOurs(error) || SAYABLE in error) return error.message;
  if ('severity' in error || sqlstateOf(error) !== undefined) return wordsOfServer(error);
  // `syscall` is on every error that Node's sockets and files make.
  if ('syscall' in error) return error.message;
  return SENTENCES.some((known) => known.test(error.message)) ? error.message : undefined;
}

/** By its name: another copy of this package has a class of its own. */
function isOurs(error: Error): boolean {
  return error.name === 'LastchunkError';
}

/** Only for the error of the server itself: the message of a query builder's wrapper contains the parameters. */
function wordsOfServer(error: Error): string | undefined {
  const fields = new Map<string, unknown>(Object.entries(error));
  const code = fields.get('code');
  if (typeof code !== 'string') return undefined;
  const isRaised = fields.get('routine') === 'exec_stmt_raise';
  if (!isRaised && hasFact(code, 'loggable')) return error.message;
  const names = NAMES.flatMap((name) => {
    const value = fields.get(name);
    return typeof value === 'string' && IDENTIFIER.test(value) ? [`${name} ${value}`] : [];
  });
  const raised = isRaised ? RAISED.exec(String(fields.get('where')))?.[0] : undefined;
  if (raised !== undefined) names.push(raised);
  return names.length === 0 ? undefined : `SQLSTATE ${code}: ${names.join(', ')}`;
}

/** Fields of a server's error that hold names of its catalogue (protocol-error-fields.html). */
const NAMES = ['constraint', 'schema', 'table', 'column'] as const;
const IDENTIFIER = /^[\w$.-]{1,63}$/;
/** The database function that raised an error: its name and line, without its message. */
const RAISED = /^PL\/pgSQL function [\w$.]{1,128}\([\w, .[\]]{0,256}\) line \d+ at RAISE/;

/** Whether code threw it, rather than a server or a socket: then the line of the app tells more than the type. */
function isThrownByCode(error: Error): boolean {
  if ('severity' in error || 'syscall' in error || isOurs(error)) return false;
  return sqlstateOf(error) === undefined;
}

/** `undefined` for a message of several lines: the stack begins with the message, whose lines could look like frames. */
function frameOf({ stack, message }: Error): string | undefined {
  return stack === undefined || message.includes('\n') ? undefined : firstAppFrame(stack);
}

/** Whole messages of `pg`, `pg-pool`, Node's TLS and V8 that hold no value; a name in them is one of the code. */
const SENTENCES: readonly RegExp[] = [
  // pg lib/connection.js, lib/client.js, lib/crypto/sasl.js, and pg-pool index.js.
  /^The server does not support SSL connections$/,
  /^There was an error establishing an SSL connection$/,
  /^SASL: [\w :,.'-]{1,160}$/,
  /^Connection terminated(?: unexpectedly| due to connection timeout)?$/,
  /^timeout e(?:xceeded|xpired)(?: when trying to connect)?$/,
  /^Query read timeout$/,
  /^Client (?:was closed and is not queryable|has encountered a connection error and is not queryable)$/,
  /^Cannot use a pool after calling end on the pool$/,
  // OpenSSL, by way of Node's TLS.
  /^(?:self[- ]signed certificate(?: in certificate chain)?|certificate has expired|unable to (?:verify the first certificate|get local issuer certificate))$/,
  // V8: a name of the code, never a value.
  /^Cannot (?:read|set) properties of (?:undefined|null) \((?:reading|setting) '[\w$]{1,64}'\)$/,
  /^[\w$.]{1,128} is not (?:a function|a constructor|defined|iterable)$/,
];
