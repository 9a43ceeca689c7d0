/** What an operator asks of the relay's tables: whether they are there, and what waits in them. Changes nothing. */
import { CLAIMED } from '../../relay/engine.ts';
import type { Connections } from '../connections.ts';
import { versionOf } from '../migrations.ts';
import { migrationOf } from './relay.ts';
import type { RelayTables } from './statements.ts';

/** The tables as they are now. */
export interface RelaySurvey {
  /** 0: never made. */
  readonly version: number;
  /** What this code knows. */
  readonly newest: number;
  /** Of the three tables, how many there are. */
  readonly tables: number;
  /** Whether all of them survive a crash of the database. */
  readonly isLogged: boolean;
  /** What is in them; absent where `tables` is not 3. */
  readonly content?: RelayContent;
}

/** What is in the tables. */
export interface RelayContent {
  /** That hold a lease, by the clock of the database. */
  readonly instances: number;
  /** Streams whose message is not known to be in the store. */
  readonly unsettled: number;
  /** Of those, the ones whose owner holds no lease. */
  readonly ownerless: number;
  /** How long ago the first unsettled one began, in milliseconds: from its owner's clock to that of the database. 0 where there is none. */
  readonly oldestMs: number;
}

/** Looks at the tables in a schema (`undefined`: by the search path). Rejects with the error of `pg`. */
export async function surveyRelay(
  connections: Connections,
  schema: string | undefined,
): Promise<RelaySurvey> {
  const { target, tables, steps } = migrationOf(schema, false);
  const versions = await versionOf(connections, target, steps);
  const [there] = await rowsOf(connections, THERE, [
    tables.instances,
    tables.streams,
    tables.parts,
  ]);
  const count = Number(there?.['tables'] ?? 0);
  const seen = { ...versions, tables: count, isLogged: there?.['logged'] === count };
  if (count < 3) return seen;
  const [row] = await rowsOf(connections, contentSql(tables), []);
  const numberIn = (name: string): number => Number(row?.[name] ?? 0);
  const content = {
    instances: numberIn('instances'),
    unsettled: numberIn('unsettled'),
    ownerless: numberIn('ownerless'),
    // Clocks differ.
    oldestMs: Math.max(0, numberIn('oldest_ms')),
  };
  return { ...seen, content };
}

const THERE = `SELECT count(*)::int AS tables, (count(*) FILTER (WHERE relpersistence = 'p'))::int AS logged
  FROM pg_class WHERE oid IN (to_regclass($1), to_regclass($2), to_regclass($3))`;

function contentSql({ instances, streams }: RelayTables): string {
  const held = `SELECT FROM ${instances} i WHERE i.expires_at > clock_timestamp()`;
  return `SELECT (SELECT count(*) FROM (${held}) AS held)::int AS instances,
      count(*)::int AS unsettled,
      (count(*) FILTER (WHERE NOT EXISTS (${held} AND i.id = rtrim(s.instance, '${CLAIMED}'))))::int AS ownerless,
      (extract(epoch FROM clock_timestamp()) * 1000 - min(s.started_at_ms))::float8 AS oldest_ms
    FROM ${streams} s WHERE NOT s.is_settled`;
}

async function rowsOf(connections: Connections, sql: string, values: readonly unknown[]) {
  return (await connections.transaction((client) => client.query(sql, [...values]))).rows;
}
