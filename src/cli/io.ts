/** The parts of the process that a command uses, passed in so that tests can replace them. */

/** The output streams and the environment of a command. */
export interface Io {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * A command. Gets the arguments after its name and resolves to the exit code: 0 is success, 1 is a failure
 * of the work, 2 a mistake in the arguments.
 */
export type Command = (argv: readonly string[], io: Io) => Promise<number>;
