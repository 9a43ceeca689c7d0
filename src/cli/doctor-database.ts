/** Whether the database answers, and whether its table is what this version of lastchunk writes into. */
import { join } from 'node:path';
import { LastchunkError } from '../core/errors.ts';
import { Connections } from '../postgres/connections.ts';
import { versionOf } from '../postgres/migrations.ts';
import { checkOptions, loadPg } from '../postgres/options.ts';
import { type Finding, note, wrong } from './doctor-finding.ts';
import { reason } from './migrate.ts';

/** Where to look. */
export interface DatabaseQuestion {
  readonly app: string;
  /** `undefined` or empty: nobody said which. */
  readonly connectionString: string | undefined;
  /** `undefined` for the default. */
  readonly table: string | undefined;
}

/** Examines the database and changes nothing. Rejects with `bad-option` for an impossible address or table. */
export async function examineDatabase(question: DatabaseQuestion): Promise<readonly Finding[]> {
  const { app, connectionString, table } = question;
  if (connectionString === undefined || connectionString === '') {
    const fix = 'give `--database-url URL` or set DATABASE_URL';
    return [note('database', 'the database was not looked at', fix)];
  }
  const settings = checkOptions({ connectionString, table, maxConnections: 1 });
  try {
    const pg = loadPg(join(app, 'package.json'));
    const connections = new Connections(pg, settings, () => {
      // The query that meets it rejects, and that is told below.
    });
    try {
      return judge(settings.table.name, await versionOf(connections, settings.table));
    } finally {
      await connections.close();
    }
  } catch (error) {
    if (error instanceof LastchunkError) {
      return [wrong('database', 'pg is not installed', 'npm install pg')];
    }
    const fix = 'see that it runs and that the address and the rights are right';
    return [wrong('database', `the database does not answer: ${reason(error)}`, fix)];
  }
}

function judge(table: string, { version, newest }: Awaited<ReturnType<typeof versionOf>>) {
  if (version === newest) return [];
  if (version > newest) {
    const says = `the table ${table} was migrated by a newer lastchunk (version ${version}, this one knows ${newest})`;
    return [note('database', says, 'fine while versions are mixed; else update lastchunk')];
  }
  const says =
    version === 0
      ? `the table ${table} has not been made`
      : `the table ${table} is at version ${version} and has to be at ${newest}`;
  return [wrong('database', says, 'npx lastchunk migrate, or `migrate: true`')];
}
