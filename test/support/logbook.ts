/** A pino-shaped logger that records its lines. */

/** One line of log. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** All arguments as JSON, so that a test can search for text that must not be logged. */
  readonly text: string;
}

/** Creates a logger and the list of its lines. */
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
