/**
 * `lastchunk journal`: lets an operator list, replay, drop and purge what waits on disk. It prints ids, sizes and times only: text of
 * users is sent to the database and nowhere else.
 */
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  dropEntry,
  dropRefused,
  listDamaged,
  listJournal,
  listRefused,
  type JournalListing,
  type OnUnread,
} from '../../journal/index.ts';
import { bad } from '../../core/options.ts';
import { postgres } from '../../postgres/index.ts';
import { databaseIn, neededDatabase } from '../database.ts';
import type { Io } from '../io.ts';
import { dump, tellUnread, verify } from './check.ts';
import { purge, type PurgeArguments } from './purge.ts';
import { replayJournal, replayRefused, type ReplayReport } from './replay.ts';
import { columns, printable, time } from '../terminal.ts';

/**
 * Runs the command and resolves to the exit code: 0 when everything was done, 1 when something is left. Rejects with `bad-option` (or the
 * error of `parseArgs`) for a mistake in the arguments, and with the error of the file system.
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
    throw bad(`\`${known.name}\` takes ${known.operand ?? 'no ids'}`);
  }
  return known.run(given, io, operands[0] ?? '');
}

interface Given extends PurgeArguments {
  readonly refused?: boolean | undefined;
  readonly force?: boolean | undefined;
  readonly table?: string | undefined;
}

async function list(given: Given, io: Io): Promise<number> {
  const { dir, refused } = given;
  // Also read with `--refused`: a missing directory is a mistake, and is reported.
  const unread = tellUnread(io);
  const waiting = await listJournal(dir, unread.tell);
  const ours = await storeNameOf(given, io);
  const refusedFiles = await readAside(dir, 'refused', unread.tell, listRefused);
  const refusedRows = refusedFiles.map(({ id, sqlstate, bytes, refusedAtMs, store }) => [
    printable(id),
    `refused ${printable(sqlstate)}`,
    String(bytes),
    time(refusedAtMs),
    store === undefined ? '-' : printable(store),
  ]);
  const damagedFiles = await readAside(dir, 'damaged', unread.tell, listDamaged);
  const damagedRows = damagedFiles.map(({ file, bytes, writtenAtMs }) => [
    printable(basename(file)),
    'damaged segment',
    String(bytes),
    time(writtenAtMs),
    '-',
  ]);
  const rows =
    refused === true
      ? refusedRows
      : [...waiting.map((one) => waitingRow(one, ours)), ...refusedRows, ...damagedRows];
  if (rows.length > 0) io.stdout.write(columns([HEADINGS, ...rows]));
  else if (unread.count === 0) io.stdout.write('nothing waits\n');
  return unread.count === 0 ? 0 : 1;
}

/**
 * Reads messages or segments that were set aside. A directory that other users may have written into is reported, and the rest of the list
 * is still printed.
 */
async function readAside<T>(
  dir: string,
  name: string,
  onUnread: OnUnread,
  read: (path: string) => readonly T[] | Promise<readonly T[]>,
): Promise<readonly T[]> {
  try {
    return await read(dir);
  } catch (error) {
    onUnread(join(dir, name), error);
    return [];
  }
}

function waitingRow(listing: JournalListing, ours: string | undefined): readonly string[] {
  const { messageId, owner, state, isPoisonous, bytes, startedAtMs, store } = listing;
  const isForeign = ours !== undefined && store !== undefined && store !== ours;
  const words = [isPoisonous ? 'poisonous' : state, owner, ...(isForeign ? ['other-store'] : [])];
  const whose = store === undefined ? '-' : printable(store);
  return [printable(messageId), words.join(' '), String(bytes), time(startedAtMs), whose];
}

/** The name of the store: `--name`, else the fingerprint of the database; `undefined` if neither is given. */
async function storeNameOf(given: Given, io: Io): Promise<string | undefined> {
  const database = databaseIn(given['database-url'], io.env);
  if (given.name !== undefined || database === undefined) return given.name;
  const store = postgres({ ...database, table: given.table });
  await store.close();
  return store.fingerprint;
}

async function replay(given: Given, io: Io): Promise<number> {
  const database = neededDatabase(given['database-url'], io.env);
  // Rejects for a missing directory, before anything is created.
  const unread = tellUnread(io);
  await listJournal(given.dir, unread.tell);
  const store = postgres({ ...database, table: given.table });
  const work = given.refused === true ? replayRefused : replayJournal;
  const { dir: path, name, force = false } = given;
  try {
    const exitCode = summarize(await work({ path, store, io, name, force }), io);
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

const HEADINGS = ['MESSAGE', 'STATE', 'BYTES', 'SINCE', 'STORE'];

const DEFAULT_DIRECTORY = './.lastchunk';

const ACTIONS: readonly {
  readonly name: string;
  readonly operands: 0 | 1;
  /** Its operand in words; absent where it has none. */
  readonly operand?: string;
  readonly run: (given: Given, io: Io, id: string) => Promise<number>;
}[] = [
  { name: 'list', operands: 0, run: list },
  { name: 'replay', operands: 0, run: replay },
  { name: 'drop', operands: 1, operand: 'one id', run: drop },
  { name: 'purge', operands: 0, run: purge },
  { name: 'verify', operands: 0, run: ({ dir }, io) => verify(dir, io) },
  { name: 'dump', operands: 1, operand: 'one file', run: (_given, io, file) => dump(file, io) },
];

const OPTIONS = {
  dir: { type: 'string' },
  refused: { type: 'boolean' },
  force: { type: 'boolean' },
  name: { type: 'string' },
  conversation: { type: 'string' },
  'older-than': { type: 'string' },
  'no-journal': { type: 'boolean' },
  relay: { type: 'boolean' },
  'no-relay': { type: 'boolean' },
  schema: { type: 'string' },
  'redis-url': { type: 'string' },
  'redis-prefix': { type: 'string' },
  'database-url': { type: 'string' },
  table: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `usage: lastchunk journal list|replay|drop|purge|verify|dump [options]

  list      what waits on disk: message id, state and owner, bytes, time, store. \`live\` belongs to a running
            process, which saves it by itself; \`left\` waits for a next start, or for \`replay\`; at \`poisonous\`
            ones two processes died while they read them, and \`damaged\` segments wait for you to look at them
  replay    saves what dead processes left for this store
  drop ID   gives up one message that a dead process left, or one that the database refused
  purge     takes messages off the disk, here and in running processes, and what is left of saved ones; those of
            a conversation out of the relay too
  verify    checks every record of every segment; 1 when something is damaged. A \`torn\` end is what the end of a
            process leaves, and no damage
  dump FILE prints the records of one segment: places, kinds, sizes and ids, never a text

  --dir PATH          the journal (default: ${DEFAULT_DIRECTORY})
  --refused           only messages that the store refused; with \`replay\`, tries again those of this database
  --database-url URL  the database (default: DATABASE_URL, else PGHOST and the like)
  --table NAME        table or schema.table (default: lastchunk_messages)
  --name NAME         the app's option journal.name, if it has one
  --force             with \`replay\`: also what is for another store
  --conversation ID   with \`purge\`: messages of this conversation
  --older-than TIME   with \`purge\`: messages that began longer ago than 30m, 12h or 90d
  --no-journal        with \`purge\`: the app has no journal, only a relay
  --relay             with \`purge\`: the database has the tables of the relay; a failure where it has not
  --no-relay          with \`purge\`: the database is not looked at
  --schema NAME       with \`purge\`: the schema of the relay's tables (default: by the search path)
  --redis-url URL     with \`purge\`: the Redis or Valkey of the relay; needs ioredis or redis
  --redis-prefix NAME with \`purge\`: the option prefix of redisRelay() (default: lastchunk)
  -h, --help          this text

An app that writes into its own tables replays by itself: with its next start, or with keep.replay(),
and with keep.replay({ refused: true }) what its store refused.
`;
