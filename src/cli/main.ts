/**
 * `lastchunk <command>`: finds the command, runs it, and prints what it throws as one line on stderr. The module of a command is loaded
 * only when the command is called, so that a command does not need the packages of another.
 */
import { parseArgs } from 'node:util';
import { maskCredentials, maskValue } from '../core/error-words.ts';
import { LastchunkError } from '../core/errors.ts';
import { oneLine } from '../core/logger.ts';
import { VERSION } from '../core/version.ts';
import type { Command, Io } from './io.ts';
import { escapeOutput } from './terminal.ts';

/**
 * Runs one command line (without `node` and the script) and resolves to the exit code; never rejects.
 * An unknown command or option is 2, any other failure 1.
 */
export async function main(argv: readonly string[], given: Io): Promise<number> {
  const io = escapeOutput(given);
  const commandAt = argv.findIndex((argument) => !argument.startsWith('-'));
  const own = commandAt === -1 ? argv : argv.slice(0, commandAt);
  const name = commandAt === -1 ? undefined : argv[commandAt];
  try {
    const { values } = parseArgs({ args: [...own], options: OPTIONS });
    if (values.version === true) return say(io.stdout, `${VERSION}\n`, 0);
    if (values.help === true) return say(io.stdout, HELP, 0);
    if (name === undefined) return say(io.stderr, HELP, 2);
    const found = COMMANDS.find((one) => one.name === name);
    if (found === undefined) {
      const known = COMMANDS.map((one) => one.name).join(', ');
      const says = `unknown command \`${oneLine(maskValue(name))}\`; known are ${known}`;
      return say(io.stderr, `lastchunk: ${says}\n`, 2);
    }
    const run = await found.load();
    return await run(argv.slice(commandAt + 1), io);
  } catch (error) {
    const at = name === undefined ? 'lastchunk' : `lastchunk ${name}`;
    const message = error instanceof Error ? error.message : String(error);
    // The message may quote a wrong argument that contains the address of a database.
    return say(io.stderr, `${at}: ${oneLine(maskCredentials(message))}\n`, isMisuse(error) ? 2 : 1);
  }
}

function say(stream: Io['stdout'], text: string, exitCode: number): number {
  stream.write(text);
  return exitCode;
}

/** Whether the error is a mistake in the arguments: found by lastchunk or by `parseArgs`. */
function isMisuse(error: unknown): boolean {
  if (error instanceof LastchunkError) return error.code === 'bad-option';
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    error.code.startsWith('ERR_PARSE_ARGS_')
  );
}

const OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

const COMMANDS: readonly {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}[] = [
  {
    name: 'migrate',
    summary: 'make or update the table of the PostgreSQL store',
    load: async () => (await import('./migrate.ts')).runMigrate,
  },
  {
    name: 'journal',
    summary: 'list, replay or drop what waits on disk',
    load: async () => (await import('./journal/journal.ts')).runJournal,
  },
  {
    name: 'doctor',
    summary: 'find what would fail without an error',
    load: async () => (await import('./doctor/doctor.ts')).runDoctor,
  },
  {
    name: 'rules',
    summary: 'print or write the Prometheus rules for your objective',
    load: async () => (await import('./rules.ts')).runRules,
  },
  {
    name: 'dashboards',
    summary: 'print or write the Grafana dashboards',
    load: async () => (await import('./dashboards.ts')).runDashboards,
  },
  {
    name: 'probe',
    summary: 'leave real streams of a running app in every way, and ask what was kept',
    load: async () => (await import('./probe/probe.ts')).runProbe,
  },
];

const HELP = `usage: lastchunk <command> [options]

${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(12)}${summary}`).join('\n')}

  -h, --help     this text; \`lastchunk <command> --help\` tells more
  -v, --version  the version of lastchunk
`;
