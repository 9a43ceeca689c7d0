/**
 * Creates and changes the table of the store by numbered steps that only go forward. Applied steps are recorded for each table in
 * `lastchunk_migrations`. Any number of processes may migrate at once: a lock lets one of them run at a time. The lock ends with its
 * transaction, so it also works behind PgBouncer.
 */
import type { Connections } from './connections.ts';
import type { PgClient } from '../core/pg-shapes.ts';
import type { Table } from './table.ts';

/** The result of a migration. */
export interface Migrated {
  /** The version of the table now. */
  readonly version: number;
  /** Names of the steps that were applied this time. */
  readonly applied: readonly string[];
}

/**
 * Migrates a table to the newest version; with `steps`, the tables that these steps create, recorded under the name of `table`. Rejects
 * with the error of `pg`.
 */
export async function migrate(
  connections: Connections,
  table: Table,
  steps: readonly Migration[] = MIGRATIONS,
): Promise<Migrated> {
  const newest = newestOf(steps);
  // Checked first without the lock and without CREATE: so a role that may only write can start when the table is up to date.
  const before = await connections.transaction((client) => currentVersion(client, table));
  if (before >= newest) return { version: before, applied: [] };
  return connections.transaction(async (client) => {
    await client.query(`SELECT pg_advisory_xact_lock(${LOCK})`);
    await client.query(migrationsTable(table));
    const version = await currentVersion(client, table);
    const missing = steps.filter((step) => step.version > version);
    for (const step of missing) {
      for (const statement of step.statements(table.sql)) await client.query(statement);
      await client.query(
        `INSERT INTO ${table.migrationsSql} (table_name, version, name) VALUES ($1, $2, $3)`,
        [shortName(table), step.version, step.name],
      );
    }
    // A table that a newer lastchunk has migrated stays as it is.
    return { version: Math.max(version, newest), applied: missing.map((step) => step.name) };
  });
}

/**
 * The recorded version of a table, or of the tables that `steps` create (0: never created), and the newest version that this code knows.
 * Changes nothing. Rejects with the error of `pg`.
 */
export async function versionOf(
  connections: Connections,
  table: Table,
  steps: readonly Migration[] = MIGRATIONS,
): Promise<{ readonly version: number; readonly newest: number }> {
  const version = await connections.transaction((client) => currentVersion(client, table));
  return { version, newest: newestOf(steps) };
}

/**
 * The SQL script that does what `migrate` does in a database without the table, or without the tables that `migrations` create, for other
 * migration tools. It can be run once; it records its steps where `migrate` looks for them.
 */
export function migrationScript(
  table: Table,
  migrations: readonly Migration[] = MIGRATIONS,
): string {
  const steps = migrations.flatMap(({ version, name, statements }) => [
    ...statements(table.sql).map(unindented),
    `INSERT INTO ${table.migrationsSql} (table_name, version, name) VALUES ('${shortName(table)}', ${version}, '${name}')`,
  ]);
  return [unindented(migrationsTable(table)), ...steps].map((sql) => `${sql};\n`).join('\n');
}

/** Removes the indentation of the last line, which closes the statement, from every line. */
function unindented(sql: string): string {
  const [indent = ''] = /(?<=\n) *(?=\S[^\n]*$)/.exec(sql) ?? [];
  return sql.replaceAll(`\n${indent}`, '\n');
}

function migrationsTable({ migrationsSql }: Table): string {
  return `CREATE TABLE IF NOT EXISTS ${migrationsSql} (
        table_name text NOT NULL,
        version integer NOT NULL,
        name text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (table_name, version)
      )`;
}

/** The recorded version; 0 when no step was applied. */
async function currentVersion(client: PgClient, table: Table): Promise<number> {
  const known = await client.query('SELECT to_regclass($1) IS NOT NULL AS known', [
    table.migrationsSql,
  ]);
  if (known.rows[0]?.['known'] !== true) return 0;
  const { rows } = await client.query(
    `SELECT max(version) AS version FROM ${table.migrationsSql} WHERE table_name = $1`,
    [shortName(table)],
  );
  return Number(rows[0]?.['version'] ?? 0);
}

/** The table's name without its schema: the record is in the same schema. */
function shortName(table: Table): string {
  return table.name.slice(table.name.indexOf('.') + 1);
}

/** One numbered step. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly statements: (table: string) => readonly string[];
}

/** Never change a released step: add a new one. */
const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'messages',
    statements: (table) => [
      `CREATE TABLE ${table} (
        id text PRIMARY KEY,
        stream_id text NOT NULL UNIQUE,
        conversation_id text,
        role text NOT NULL,
        content text NOT NULL,
        complete boolean NOT NULL,
        outcome text NOT NULL,
        side text NOT NULL,
        revision integer NOT NULL,
        events jsonb,
        metadata jsonb,
        chunks bigint NOT NULL,
        bytes bigint NOT NULL,
        dropped_bytes bigint NOT NULL,
        replaced bigint NOT NULL,
        trace_id text,
        started_at timestamptz NOT NULL,
        ended_at timestamptz NOT NULL,
        saved_at timestamptz NOT NULL DEFAULT now()
      )`,
      `CREATE INDEX ON ${table} (conversation_id, started_at)`,
    ],
  },
];

function newestOf(steps: readonly Migration[]): number {
  return Math.max(...steps.map((step) => step.version));
}

/** Migrates once; after a failure the next caller tries again. Several callers wait for the same attempt. */
export function createReadiness(
  wanted: boolean,
  work: () => Promise<unknown>,
): () => Promise<void> {
  let ready: Promise<void> | undefined = wanted ? undefined : Promise.resolve();
  return () => {
    ready ??= work().then(
      () => undefined,
      (error: unknown) => {
        ready = undefined;
        throw error;
      },
    );
    return ready;
  };
}

/** The key of the lock, one for all tables and versions: "lastchun" as eight bytes of ASCII. */
const LOCK = '7809650172558341486';
