/**
 * `lastchunk journal`: what waits on disk, seen and moved by an operator. Ids, sizes and times only: what users wrote
 * goes to the database and nowhere else.
 */
import { parseArgs } from 'node:util';
import {
  dropEntry,
  dropRefused,
  listJournal,
  listRefused,
  type OnUnread,
} from '../journal/index.ts';
import { errorTypeOf } from '../core/errors.ts';
import { bad } from '../core/options.ts';
import { postgres } from '../postgres/index.ts';
import type { Io } from './io.ts';
import { replayJournal, replayRefused, type ReplayReport } from './journal-replay.ts';

/**
 * Runs the command and resolves to the exit code: 0 when it did what was asked, 1 when something is left. Rejects
 * with `bad-option` (or the error of `parseArgs`) for a mistake in the arguments, and with the disk's own error.
 */
export async function runJournal(argv: readonly string[], io: Io): Promise<number> {
  const parsed = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const { values, positionals } = parsed;
  const [action, ...operands] = positionals;
  if (values.help === true) {
    io.stdout.write(HELP);
    return 0;
  }
  const given: Given = { ...values, dir: values.dir ?? DEFAULT_DIRECTORY };
  const known = ACTIONS.find(({ name }) => name === action);
  if (known === undefined) {
    const names = ACTIONS.map(({ name }) => name).join(', ');
    throw bad(
      `say what to do: one of ${names}${action === undefined ? '' : `, not \`${action}\``}`,
    );
  }
  if (operands.length !== known.operands) {
    throw bad(known.operands === 0 ? `\`${known.name}\` takes no ids` : '`drop` takes one id');
  }
  return known.run(given, io, operands[0] ?? '');
}

interface Given {
  readonly dir: string;
  readonly refused?: boolean | undefined;
  readonly 'database-url'?: string | undefined;
  readonly table?: string | undefined;
}

async function list({ dir, refused }: Given, io: Io): Promise<number> {
  // Asked for in any case: a directory that is not there is a mistake to be told.
  const unread = tellUnread(io);
  const waiting = await listJournal(dir, unread.tell);
  const rows = [
    ...(refused === true ? [] : waiting).map(({ messageId, owner, state, bytes, startedAtMs }) => [
      printable(messageId),
      `${state} ${owner}`,
      String(bytes),
      time(startedAtMs),
    ]),
    ...listRefused(dir).map(({ id, sqlstate, bytes, refusedAtMs }) => [
      printable(id),
      `refused ${sqlstate}`,
      String(bytes),
      time(refusedAtMs),
    ]),
  ];
  if (rows.length > 0) io.stdout.write(table([HEADINGS, ...rows]));
  else if (unread.count === 0) io.stdout.write('nothing waits\n');
  return unread.count === 0 ? 0 : 1;
}

/** Says on stderr which part of the journal is not seen, and counts those parts. */
function tellUnread(io: Io): { readonly tell: OnUnread; count: number } {
  const unread = {
    count: 0,
    tell: (path: string, error: unknown): void => {
      unread.count += 1;
      const says = `${printable(path)} is not read (${errorTypeOf(error)}), so what it holds is not listed`;
      io.stderr.write(`lastchunk journal: ${says}\n`);
    },
  };
  return unread;
}

async function replay(given: Given, io: Io): Promise<number> {
  const connectionString = given['database-url'] ?? io.env['DATABASE_URL'];
  if (connectionString === undefined || connectionString === '') {
    throw bad('no database: give `--database-url URL` or set DATABASE_URL');
  }
  // Throws for a directory that is not there, before anything is made.
  const unread = tellUnread(io);
  await listJournal(given.dir, unread.tell);
  const store = postgres({ connectionString, table: given.table });
  const work = given.refused === true ? replayRefused : replayJournal;
  try {
    const exitCode = summarize(await work({ path: given.dir, store, io }), io);
    return unread.count === 0 ? exitCode : 1;
  } finally {
    await store.close();
  }
}

function summarize({ saved, refused, left, errorType }: ReplayReport, io: Io): number {
  io.stdout.write(`${saved} saved, ${refused} refused, ${left} left\n`);
  if (errorType !== undefined) {
    io.stderr.write(`lastchunk journal: the database did not take them (${errorType})\n`);
  }
  return refused + left === 0 && errorType === undefined ? 0 : 1;
}

async function drop({ dir, refused }: Given, io: Io, id: string): Promise<number> {
  const result =
    refused === true ? dropRefusedOnly(dir, id) : await dropEntry(dir, id, tellUnread(io).tell);
  if (result === 'dropped') {
    io.stdout.write(`${printable(id)} is dropped\n`);
    return 0;
  }
  const why = result === 'in-use' ? 'belongs to a running process' : 'is not there';
  io.stderr.write(`lastchunk journal: ${printable(id)} ${why}\n`);
  return 1;
}

function dropRefusedOnly(dir: string, id: string): 'dropped' | 'not-found' {
  return dropRefused(dir, (info) => info.id === id) > 0 ? 'dropped' : 'not-found';
}

/** An id is whatever an app, or its client, chose: nothing of it may move the cursor of a terminal. */
function printable(id: string): string {
  return /^[\x21-\x7e]+$/.test(id) ? id : JSON.stringify(id).replaceAll(/[^\x20-\x7e]/g, '?');
}

function time(atMs: number): string {
  return atMs === 0 ? '-' : new Date(atMs).toISOString();
}

/** Columns under each other. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = HEADINGS.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

const HEADINGS = ['MESSAGE', 'STATE', 'BYTES', 'SINCE'];

const DEFAULT_DIRECTORY = './.lastchunk';

const ACTIONS: readonly {
  readonly name: string;
  readonly operands: 0 | 1;
  readonly run: (given: Given, io: Io, id: string) => Promise<number>;
}[] = [
  { name: 'list', operands: 0, run: list },
  { name: 'replay', operands: 0, run: replay },
  { name: 'drop', operands: 1, run: drop },
];

const OPTIONS = {
  dir: { type: 'string' },
  refused: { type: 'boolean' },
  'database-url': { type: 'string' },
  table: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `usage: lastchunk journal list|replay|drop [options]

  list      what waits on disk: message id, state and owner, bytes, time. \`live\` belongs to a running
            process, which saves it by itself; \`left\` waits for a next start, or for \`replay\`
  replay    saves what dead processes left
  drop ID   gives up one message that a dead process left, or one that the database refused

  --dir PATH          the journal (default: ${DEFAULT_DIRECTORY})
  --refused           only messages that the database refused; with \`replay\`, tries them again
  --database-url URL  the database (default: the environment variable DATABASE_URL)
  --table NAME        table or schema.table (default: lastchunk_messages)
  -h, --help          this text

An app that writes into its own tables replays by itself: with its next start, or with keep.replay().
`;
