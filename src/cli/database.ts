/** The database that a command uses: by default the one in the environment of the app. */
import { bad } from '../core/options.ts';
import type { PostgresOptions } from '../postgres/index.ts';
import type { Io } from './io.ts';

/** The address as `postgres()` accepts it. */
export type DatabaseAddress = Pick<PostgresOptions, 'connectionString' | 'connection'>;

/**
 * Environment variables, and the options of `connection` for which they stand. The driver adds its own sources, such as `~/.pgpass` for the
 * password.
 */
const PARTS = {
  PGHOST: 'host',
  PGPORT: 'port',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGDATABASE: 'database',
} as const;

/**
 * `--database-url`, else DATABASE_URL, else PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE, as `connection: {}` reads them; `undefined`
 * if none of them is set. Throws `bad-option` for a PGPORT that is no number.
 */
export function databaseIn(given: string | undefined, env: Io['env']): DatabaseAddress | undefined {
  const connectionString = given ?? env['DATABASE_URL'];
  if (connectionString !== undefined && connectionString !== '') return { connectionString };
  const parts = Object.entries(PARTS).flatMap(([name, part]) => {
    const value = env[name];
    return value === undefined || value === '' ? [] : [[part, readPart(name, value)] as const];
  });
  return parts.length === 0 ? undefined : { connection: Object.fromEntries(parts) };
}

/** The same; throws `bad-option` if no database is named. */
export function neededDatabase(given: string | undefined, env: Io['env']): DatabaseAddress {
  const found = databaseIn(given, env);
  if (found !== undefined) return found;
  throw bad('no database: give `--database-url URL`, or set DATABASE_URL or PGHOST and the like');
}

function readPart(name: string, value: string): string | number {
  if (name !== 'PGPORT') return value;
  const port = Number(value);
  if (Number.isInteger(port)) return port;
  throw bad(`PGPORT must be a whole number, not ${JSON.stringify(value)}`);
}
