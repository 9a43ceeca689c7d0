/**
 * `lastchunk migrate`: creates or updates the table before the app starts, for apps that do not use `migrate: true`, which would let them
 * change the database themselves.
 */
import { parseArgs } from 'node:util';
import { bad } from '../core/options.ts';
import { maskCredentials, unwrapAggregate } from '../core/error-words.ts';
import { postgres, postgresRelay } from '../postgres/index.ts';
import type { Migrated } from '../postgres/index.ts';
import { migrationScript } from '../postgres/migrations.ts';
import { relayMigrationScript } from '../postgres/relay/relay.ts';
import { parseTable } from '../postgres/table.ts';
import { type DatabaseAddress, neededDatabase } from './database.ts';
import type { Io } from './io.ts';

/**
 * Runs the command and resolves to the exit code: 0 when the table is up to date, 1 when the database reports an error.
 * Rejects with `bad-option` (or the error of `parseArgs`) for a mistake in the arguments.
 */
export async function runMigrate(argv: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS });
  if (values.help === true) {
    io.stdout.write(HELP);
    return 0;
  }
  if (values.relay === true) {
    if (values.table !== undefined) {
      throw bad('the tables of the relay have names of their own: leave out `--table`');
    }
    if (values.print === true) {
      io.stdout.write(relayMigrationScript(values));
      return 0;
    }
    return migrateRelay(neededDatabase(values['database-url'], io.env), values, io);
  }
  if (values.schema !== undefined || values.durable === true) {
    throw bad('`--schema` and `--durable` are for the tables of the relay: give `--relay` too');
  }
  const table = values.table ?? 'lastchunk_messages';
  if (values.print === true) {
    io.stdout.write(migrationScript(parseTable(table)));
    return 0;
  }
  const database = neededDatabase(values['database-url'], io.env);
  const store = postgres({ ...database, table, statementTimeoutMs: STATEMENT_TIMEOUT_MS });
  try {
    io.stdout.write(describe(table, await store.migrate()));
    return 0;
  } catch (error) {
    io.stderr.write(`lastchunk migrate: ${table} is not migrated: ${describeFailure(error)}\n`);
    return 1;
  } finally {
    await store.close();
  }
}

async function migrateRelay(
  database: DatabaseAddress,
  { schema, durable }: { schema?: string; durable?: boolean },
  io: Io,
): Promise<number> {
  const statementTimeoutMs = STATEMENT_TIMEOUT_MS;
  const relay = postgresRelay({ ...database, schema, durable, statementTimeoutMs });
  try {
    io.stdout.write(describe('lastchunk_relay', await relay.migrate()));
    return 0;
  } catch (error) {
    io.stderr.write(
      `lastchunk migrate: lastchunk_relay is not migrated: ${describeFailure(error)}\n`,
    );
    return 1;
  } finally {
    await relay.close();
  }
}

function describe(table: string, { version, applied }: Migrated): string {
  if (applied.length === 0) return `${table} is up to date (version ${version})\n`;
  return `${table} is now at version ${version} (applied: ${applied.join(', ')})\n`;
}

/** The error of the database, with its code; never the connection string, which holds a password. */
export function describeFailure(error: unknown): string {
  const first = unwrapAggregate(error);
  if (!(first instanceof Error)) return maskCredentials(String(first));
  const code: unknown = 'code' in first ? first.code : undefined;
  const words = maskCredentials(first.message);
  return typeof code === 'string' ? `${words} (${code})` : words;
}

const OPTIONS = {
  'database-url': { type: 'string' },
  table: { type: 'string' },
  print: { type: 'boolean' },
  relay: { type: 'boolean' },
  schema: { type: 'string' },
  durable: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const HELP = `usage: lastchunk migrate [options]

Makes or updates the table of the PostgreSQL store. Safe to run again, and by several processes at once.

  --database-url URL  the database (default: DATABASE_URL, else PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE)
  --table NAME        table or schema.table (default: lastchunk_messages); the schema must exist
  --print             print the SQL instead, for Flyway, Atlas, Prisma and others; needs no database. With
                      --relay that of its tables
  --relay             the three tables of postgresRelay() instead
  --schema NAME       with --relay: the schema they are in, which must exist
  --durable           with --relay: tables that survive a crash of the database (default: UNLOGGED)
  -h, --help          this text
`;

/** This process serves no streams, so a migration step over a large table may take long. */
const STATEMENT_TIMEOUT_MS = 600_000;
