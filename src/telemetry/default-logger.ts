/**
 * Where log lines go: to the app's logger, or, where it gave none, to OpenTelemetry's `diag` if an SDK has set one, else to the
 * console. On the console each is one line. The default prints warnings, errors and the line of the start there, on stderr,
 * because stdout may be what the app says; a console that is given as `logger` prints all levels, each where it does.
 */
import { diag } from '@opentelemetry/api';
import { type Logger, LOG_LEVELS } from '../core/logger.ts';
import { bad, show } from '../core/options.ts';
import { isObject } from '../core/values.ts';
import { hasDiagLogger } from './providers.ts';

/** Fields of the one line at info that the default logger prints on the console. */
export const START_FIELDS = { event: 'start' } as const;

/** What is used of a console. */
type ConsoleMethods = Pick<Console, keyof Logger>;

/**
 * The logger for the option `logger`: `undefined` is the default, `false` is silence, a console prints one line each. Throws
 * `bad-option` for what is none.
 */
export function resolveLogger(option: unknown): Logger {
  if (option === undefined) return createDefaultLogger();
  if (option === false) return SILENT;
  if (isConsole(option)) return createConsoleLogger(option);
  if (isLogger(option)) return option;
  throw bad(
    `\`logger\` must have the methods ${LOG_LEVELS.join(', ')}, as pino's has, or be false for silence, not ${show(option)}`,
  );
}

/** Asks at every line who listens: an SDK may set `diag` at any time. */
export function createDefaultLogger(): Logger {
  const toDiag = createDiagLogger();
  const at =
    (level: keyof Logger, isPrinted: (fields: object) => boolean) =>
    (fields: object, message: string): void => {
      if (hasDiagLogger()) toDiag[level](fields, message);
      else if (isPrinted(fields)) {
        console[level === 'warn' ? 'warn' : 'error'](consoleLine(level, fields, message));
      }
    };
  const always = (): boolean => true;
  return {
    debug: at('debug', () => false),
    info: at('info', (fields) => 'event' in fields && fields.event === START_FIELDS.event),
    warn: at('warn', always),
    error: at('error', always),
  };
}

/** Writes to `diag` under the namespace `lastchunk`. */
export function createDiagLogger(): Logger {
  const log = diag.createComponentLogger({ namespace: 'lastchunk' });
  return {
    debug: (fields, message) => log.debug(message, fields),
    info: (fields, message) => log.info(message, fields),
    warn: (fields, message) => log.warn(message, fields),
    error: (fields, message) => log.error(message, fields),
  };
}

/** Prints each line as one line of text. */
export function createConsoleLogger(target: ConsoleMethods): Logger {
  const at =
    (level: keyof Logger) =>
    (fields: object, message: string): void =>
      target[level](consoleLine(level, fields, message));
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** `lastchunk error: what happened: why (name=value, …)`, without line breaks or control characters. */
export function consoleLine(level: keyof Logger, fields: object, message: string): string {
  const { reason, ...rest } = fields as { readonly reason?: unknown };
  const facts = Object.entries(rest)
    .filter(([name, value]) => value !== undefined && name !== 'event')
    .map(([name, value]) => `${name}=${printed(name, value)}`);
  const why = typeof reason === 'string' ? `: ${reason}` : '';
  const behind = facts.length === 0 ? '' : ` (${facts.join(', ')})`;
  const line = `lastchunk ${level}: ${message.replace(/^lastchunk: /, '')}${why}${behind}`;
  return line.replaceAll(
    CONTROLS,
    (found) => `\\u${(found.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** Of a stack the first frame; the rest is for loggers that keep fields. */
function printed(name: string, value: unknown): string {
  if (typeof value !== 'string') return isObject(value) ? inJson(value) : String(value);
  const text = name === 'stack' ? (value.split('\n', 1)[0] ?? '').trim() : value;
  return PLAIN.test(text) ? text : JSON.stringify(text);
}

/** Fields of ours have no cycles; a thrown one would cost the whole line. */
function inJson(value: object): string {
  try {
    return JSON.stringify(value);
  } catch {
    // What cannot be written as JSON is said to be an object.
    return show(value);
  }
}

const PLAIN = /^[\w.:/@%+-]+$/;
const CONTROLS = /[\p{Cc}\u2028\u2029]/gu;

const nothing = (): void => {};
const SILENT: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function isLogger(value: unknown): value is Logger {
  if (!isObject(value) && typeof value !== 'function') return false;
  return LOG_LEVELS.every((level) => typeof Reflect.get(value as object, level) === 'function');
}

/** Node's, a worker's, or a test runner's own: by what only a console has. */
function isConsole(value: unknown): value is ConsoleMethods {
  if (!isLogger(value)) return false;
  return ['dir', 'trace', 'groupEnd'].every(
    (name) => typeof Reflect.get(value, name) === 'function',
  );
}
