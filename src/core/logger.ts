/**
 * What lastchunk asks of a logger. The shape is pino's, because most apps have one at hand; nothing is
 * imported for it. Fields first, then a constant sentence: ids and codes go into the fields, the text of
 * a message goes nowhere.
 */

/** A pino-shaped logger. What it throws is swallowed by `safeLogger`. */
export interface Logger {
  /** One line for each stream and each line of noise. */
  debug(fields: object, message: string): void;
  /** What an operator may want to know once. */
  info(fields: object, message: string): void;
  /** Something is not as it should be, and nothing is lost. */
  warn(fields: object, message: string): void;
  /** Something is lost, or will be. */
  error(fields: object, message: string): void;
}

/** The levels of a `Logger`, lowest first. */
export const LOG_LEVELS = [
  'debug',
  'info',
  'warn',
  'error',
] as const satisfies readonly (keyof Logger)[];

/** The same logger, which cannot throw: a log line that fails must not take a stream or a save with it. */
export function safeLogger(logger: Logger): Logger {
  const at =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      try {
        logger[level](fields, message);
      } catch {
        // The logger is the last place to report to; there is nobody left to tell.
      }
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
