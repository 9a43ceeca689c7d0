/**
 * The logger that lastchunk needs, in the shape of pino, which is not imported. A call passes the fields, then a constant sentence: ids and
 * codes are fields, and the text of a message is never logged.
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

/** Fields of the line that an instance logs at its start: the default logger prints it even at level info. */
export const START_FIELDS = { event: 'start' } as const;

/**
 * Fields of a line at info which reports the end of a warning or an error: the default logger prints it if it printed that warning or
 * error.
 */
export const RECOVERED_FIELDS = { event: 'recovered' } as const;

/** Characters that end a line, control a terminal, or reverse or hide other characters. */
const CONTROLS = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Printable ASCII, which most lines are: these need no search by Unicode properties, which is slower. */
const PLAIN = /^[ -~]*$/;

/** The text as one line: each control character is written as its number, so that no part of it can look like another line. */
export function oneLine(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replaceAll(CONTROLS, (found) => {
    const hex = (found.codePointAt(0) ?? 0).toString(16).padStart(4, '0');
    return hex.length > 4 ? `\\u{${hex}}` : `\\u${hex}`;
  });
}

/**
 * Wraps a logger so that it never throws: a failed log line must not break a stream or a save. Each message is one line, also where it
 * contains a path or the message of a server.
 */
export function safeLogger(logger: Logger): Logger {
  const at =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      try {
        logger[level](fields, oneLine(message));
      } catch {
        // A failure of the logger cannot be reported: there is no other place to report it to.
      }
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
