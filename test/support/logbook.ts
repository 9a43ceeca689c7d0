/** A pino-shaped logger that remembers its lines. */

/** One line of log. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Everything that was given, as JSON, so that a test can look for text that must not be there. */
  readonly text: string;
}

/** Creates a logger and the list of what it was given. */
export function createLogbook() {
  const lines: LogLine[] = [];
  const at =
    (level: LogLine['level']) =>
    (...given: readonly unknown[]): void => {
      lines.push({ level, text: given.map(print).join(' ') });
    };
  return {
    lines: lines as readonly LogLine[],
    errors: (): readonly string[] =>
      lines.filter(({ level }) => level === 'error').map(({ text }) => text),
    logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
  };
}

function print(value: unknown): string {
  return typeof value === 'string'
    ? value
    : JSON.stringify(value, (_, inner: unknown) =>
        inner instanceof Error
          ? { name: inner.name, message: inner.message, stack: inner.stack, cause: inner.cause }
          : inner,
      );
}
