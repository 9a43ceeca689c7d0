/**
 * The environment of an app: whether its database answers and has the tables of this version, and whether the journal's directory can be
 * written and survives a crash.
 */
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { LastchunkError } from '../../core/errors.ts';
import { refusalOf } from '../../core/refusal.ts';
import { type FileSystem, fileSystemOf } from '../../journal/fs.ts';
import { isOurDirectory } from '../../journal/ours.ts';
import { Connections, type Destination, destinationOf } from '../../postgres/connections.ts';
import { versionOf } from '../../postgres/migrations.ts';
import { migrationOf } from '../../postgres/relay/relay.ts';
import { readBack } from '../../postgres/read-back.ts';
import type { Table } from '../../postgres/table.ts';
import { checkOptions, loadPg } from '../../postgres/options.ts';
import type { DatabaseAddress } from '../database.ts';
import { describeFailure } from '../migrate.ts';
import { type DoctorFinding, noteFinding, wrongFinding } from './finding.ts';
import { examineRelay, type RelayQuestion } from './relay.ts';

/** Which database to examine. */
export interface DatabaseQuestion {
  readonly app: string;
  /** `undefined`: no database is given. */
  readonly database: DatabaseAddress | undefined;
  /** `undefined` for the default. */
  readonly table: string | undefined;
  readonly relay: RelayQuestion;
}

/** Where the app's driver would connect to; `undefined` if no database is given or the app has no driver. */
export function findDestination(
  app: string,
  database: DatabaseAddress | undefined,
): Destination | undefined {
  if (database === undefined) return undefined;
  const { connection } = checkOptions(database);
  try {
    return destinationOf(loadPg(undefined, [join(app, 'package.json')]), connection);
  } catch {
    // A wrong driver or address is reported by the check of the database.
    return undefined;
  }
}

/**
 * Examines the database and changes nothing: the row that it writes is rolled back. Rejects with `bad-option` for an invalid address, table
 * or schema.
 */
export async function examineDatabase(
  question: DatabaseQuestion,
): Promise<readonly DoctorFinding[]> {
  const { app, database, table, relay } = question;
  if (database === undefined) {
    const fix = 'give `--database-url URL`, or set DATABASE_URL or PGHOST and the like';
    return [noteFinding('database', 'the database was not checked', fix)];
  }
  const settings = checkOptions({ ...database, table, maxConnections: 1 });
  // Throws for an invalid schema.
  migrationOf(relay.schema, false);
  try {
    const pg = loadPg(undefined, [join(app, 'package.json')]);
    const connections = new Connections(pg, settings, () => {
      // The query that fails rejects, and that is reported below.
    });
    try {
      const found = judgeVersion(settings.table.name, await versionOf(connections, settings.table));
      const rows = found.length === 0 ? await examineRow(connections, settings.table) : found;
      return [...rows, ...(await examineRelay(connections, relay))];
    } finally {
      await connections.close();
    }
  } catch (error) {
    if (error instanceof LastchunkError) {
      return [wrongFinding('database', 'pg is not installed', 'npm install pg')];
    }
    const fix = 'check that it runs, and that the address and the permissions are correct';
    return [
      wrongFinding('database', `the database does not answer: ${describeFailure(error)}`, fix),
    ];
  }
}

/** Checks that the table keeps a row. A table may answer without an error and keep nothing: then every message would be refused. */
async function examineRow(
  connections: Connections,
  table: Table,
): Promise<readonly DoctorFinding[]> {
  const fix = 'look for triggers, rules and policies: `\\d+` in psql lists them';
  try {
    const found = await readBack(connections, table);
    if (found === 'kept') return [];
    const says =
      found === 'swallowed'
        ? `the table ${table.name} takes a message without an error and does not keep it`
        : `the table ${table.name} does not give back the message that was written`;
    return [wrongFinding('database', says, fix)];
  } catch (error) {
    if (refusalOf(error) === undefined) throw error;
    const says = `the table ${table.name} refuses a message without a conversation: ${describeFailure(error)}`;
    const fine = 'fine if every message names one; else look at its constraints';
    return [noteFinding('database', says, fine)];
  }
}

function judgeVersion(table: string, { version, newest }: Awaited<ReturnType<typeof versionOf>>) {
  if (version === newest) return [];
  if (version > newest) {
    const says = `the table ${table} was migrated by a newer lastchunk (version ${version}, this one knows ${newest})`;
    return [noteFinding('database', says, 'fine while versions are mixed; else update lastchunk')];
  }
  const says =
    version === 0
      ? `the table ${table} has not been made`
      : `the table ${table} is at version ${version} and has to be at ${newest}`;
  return [wrongFinding('database', says, 'npx lastchunk migrate, or `migrate: true`')];
}

/** Examines the journal's directory, an absolute path, or the directory in which it would be created. Removes what it creates. */
export function examineJournal(path: string, ephemeral: boolean): readonly DoctorFinding[] {
  let place = path;
  while (!existsSync(place)) place = dirname(place);
  const others = place === path ? describeOwner(path) : describeParent(place, false);
  try {
    // Permission bits do not show a read-only mount, and do not apply to root: only a write shows whether one is possible.
    const probe = mkdtempSync(join(place, '.lastchunk-doctor-'));
    try {
      writeFileSync(join(probe, 'probe'), 'x', { flush: true });
    } finally {
      rmSync(probe, { recursive: true });
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    const says = `the journal's directory ${path} cannot be written (${code})`;
    return [wrongFinding('journal', says, mendingOf(code, path))];
  }
  return [...others, ...describeKind(path, fileSystemOf(place), ephemeral)];
}

/** The journal refuses a directory that others could have written into. */
function describeOwner(path: string): readonly DoctorFinding[] {
  const findings: DoctorFinding[] = [];
  isOurDirectory(path, (error) => {
    const why = error instanceof Error ? error.message : String(error);
    const fix = 'it has to belong to the user that the app runs as, with mode 0700';
    findings.push(wrongFinding('journal', `the journal's directory ${why}`, fix));
  });
  return [...findings, ...describeParent(dirname(path), true)];
}

/**
 * Whether other users may write into the parent directory: they could rename the journal's directory, unless the parent is sticky, or
 * create it first.
 */
function describeParent(parent: string, isMade: boolean): readonly DoctorFinding[] {
  const { mode } = statSync(parent);
  const isOpen = process.geteuid !== undefined && (mode & OTHERS_WRITE) !== 0;
  if (!isOpen || (isMade && (mode & STICKY) !== 0)) return [];
  const does = isMade ? 'replace it' : 'create it before the app, which would then refuse it';
  const says = `others may write ${parent}, the parent of the journal's directory, and could ${does}`;
  return [noteFinding('journal', says, 'give the journal a parent that only the app may write')];
}

const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** The command that fixes it, where there is one. */
function mendingOf(code: string, directory: string): string {
  const path = shellWord(directory);
  const otherwise = 'or give another directory with the option `journal`';
  switch (code) {
    case 'EACCES':
    case 'EPERM': {
      const owner = `${process.getuid?.() ?? '$(id -u)'}:${process.getgid?.() ?? '$(id -g)'}`;
      return `sudo mkdir -p ${path} && sudo chown -R ${owner} ${path}; ${otherwise}`;
    }
    case 'EROFS':
      return `mount a volume: docker run --mount type=volume,dst=${path} …, in Kubernetes a volumeMount with mountPath: ${path}; ${otherwise}`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `make room: df -h ${path}; df -i ${path}; ${otherwise}`;
    default:
      return 'give another directory with the option `journal`';
  }
}

/** Quotes a text as one word of a command line. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** What a kind of file system means for a journal. */
export function describeKind(
  path: string,
  kind: FileSystem,
  ephemeral: boolean,
): readonly DoctorFinding[] {
  switch (kind) {
    case 'disk':
      return [];
    case 'overlay':
    case 'tmpfs':
      if (ephemeral) return [];
      return [
        wrongFinding(
          'journal',
          `the journal's directory ${path} is on ${kind}: its content is lost with the container or the machine`,
          'mount a volume there, or set `ephemeral: true` (here: --ephemeral)',
        ),
      ];
    case 'network':
      return [
        wrongFinding(
          'journal',
          `the journal's directory ${path} is on a network file system, which does not guarantee ownership and fsync`,
          'put it on a local disk',
        ),
      ];
  }
}
