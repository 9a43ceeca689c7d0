/**
 * Where log lines go: to the app's logger; without one, to OpenTelemetry's `diag` if an SDK has set a logger there; otherwise to
 * the console, one line each. The default logger prints warnings, errors, recoveries and the start line on stderr, because stdout
 * may be the app's output. A console that is passed as `logger` prints all levels, each with its own method.
 */
import { diag } from '@opentelemetry/api';
import { systemClock } from '../core/clock.ts';
import {
  type Logger,
  LOG_LEVELS,
  oneLine,
  RECOVERED_FIELDS,
  START_FIELDS,
} from '../core/logger.ts';
import { bad, show } from '../core/options.ts';
import { isObject } from '../core/values.ts';
import { hasDiagLogger } from './providers.ts';
import { REPEAT_MS, SeldomLines } from './seldom-lines.ts';

/** What is used of a console. */
type ConsoleMethods = Pick<Console, keyof Logger>;

/** A logger, and the function that writes the lines it has held back. */
export interface ResolvedLogger {
  readonly logger: Logger;
  /** Writes them now and clears the timer. */
  readonly flush: () => void;
}

/**
 * The logger for the option `logger`: `undefined` is the default, `false` is silence, a console prints one line each. Throws
 * `bad-option` for what is none.
 */
export function resolveLogger(option: unknown): ResolvedLogger {
  if (option === undefined) {
    const repeats = new Repeats();
    return { logger: createDefaultLogger(repeats), flush: () => repeats.flush() };
  }
  const flush = nothing;
  if (option === false) return { logger: SILENT, flush };
  if (isConsole(option)) return { logger: createConsoleLogger(option), flush };
  if (isLogger(option)) return { logger: option, flush };
  throw bad(
    `\`logger\` must have the methods ${LOG_LEVELS.join(', ')}, as pino's has, or be false for silence, not ${show(option)}`,
  );
}

/**
 * Asks at every line who listens: an SDK may set `diag` at any time. Warnings and errors, and what takes them back, are told once
 * a minute for each kind.
 */
export function createDefaultLogger(repeats = new Repeats()): Logger {
  const toDiag = createDiagLogger();
  const write = (
    level: keyof Logger,
    fields: object,
    message: string,
    isPrinted: boolean,
  ): void => {
    if (hasDiagLogger()) toDiag[level](fields, message);
    else if (isPrinted) {
      console[level === 'warn' ? 'warn' : 'error'](consoleLine(level, fields, message));
    }
  };
  const seldom = (level: keyof Logger, fields: LineFields, message: string): void => {
    // The caller has already limited how often this line is written.
    if ('untold' in fields) {
      const { untold, ...others } = fields;
      return write(level, untold === 0 ? others : fields, message, true);
    }
    repeats.tell(level, fields, message, (untold) =>
      write(level, untold === 0 ? fields : { ...fields, untold }, message, true),
    );
  };
  return {
    debug: (fields, message) => write('debug', fields, message, false),
    info(fields: LineFields, message) {
      if (fields.event === RECOVERED_FIELDS.event) seldom('info', fields, message);
      else write('info', fields, message, fields.event === START_FIELDS.event);
    },
    warn: (fields, message) => seldom('warn', fields, message),
    error: (fields, message) => seldom('error', fields, message),
  };
}

/** The fields of a line that are read here. */
type LineFields = Readonly<Record<string, unknown>> | { readonly event?: unknown };

/** Fields that tell lines of one sentence apart, each with few values. Lines about one message each are of one kind. */
const KIND_FIELDS = ['where', 'task', 'place', 'path', 'errorType'] as const;

/** How often something may come and go within a minute before only its last state is told. */
const CHANGES_AT_ONCE = 4;

/** The lines of one logger that repeat, and the timer after which the last that was left out is told. */
class Repeats {
  readonly #lines = new SeldomLines();
  #cancel: (() => void) | undefined;

  tell(
    level: keyof Logger,
    fields: Readonly<Record<string, unknown>>,
    message: string,
    write: (untold: number) => void,
  ): void {
    const { about } = fields;
    const isChange = typeof about === 'string';
    const names = 'messageId' in fields ? [] : KIND_FIELDS;
    const kind = isChange
      ? `about ${about}`
      : [level, message, ...names.map((name) => JSON.stringify(fields[name]))].join('\n');
    const wasTold = this.#lines.tell(kind, write, isChange ? CHANGES_AT_ONCE : 1);
    if (!wasTold) this.#wait();
  }

  flush(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#lines.flush();
  }

  #wait(): void {
    this.#cancel ??= systemClock.after(REPEAT_MS, () => {
      this.#cancel = undefined;
      this.#lines.writeDue();
      if (this.#lines.hasLeftOut) this.#wait();
    });
  }
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
    .filter(([name, value]) => value !== undefined && name !== 'event' && name !== 'about')
    .map(([name, value]) => `${name}=${printed(name, value)}`);
  const why = typeof reason === 'string' ? `: ${reason}` : '';
  const behind = facts.length === 0 ? '' : ` (${facts.join(', ')})`;
  return oneLine(`lastchunk ${level}: ${message.replace(/^lastchunk: /, '')}${why}${behind}`);
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

const nothing = (): void => {};
const SILENT: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

function isLogger(value: unknown): value is Logger {
  if (!isObject(value) && typeof value !== 'function') return false;
  return LOG_LEVELS.every((level) => typeof Reflect.get(value as object, level) === 'function');
}

/** Recognises the console of Node, a worker or a test runner by the methods that only a console has. */
function isConsole(value: unknown): value is ConsoleMethods {
  if (!isLogger(value)) return false;
  return ['dir', 'trace', 'groupEnd'].every(
    (name) => typeof Reflect.get(value, name) === 'function',
  );
}
