/** Reads the state of the relay's tables for an operator: whether they exist, and which streams are not settled. Changes nothing. */
import { CLAIMED } from '../../relay/engine.ts';
import type { Connections } from '../connections.ts';
import { versionOf } from '../migrations.ts';
import { migrationOf } from './relay.ts';
import type { RelayTables } from './statements.ts';

/** The tables as they are now. */
export interface RelaySurvey {
  /** Of the tables; 0: they were never created. */
  readonly version: number;
  /** The newest version that this code knows. */
  readonly newest: number;
  /** How many of the three tables exist. */
  readonly tables: number;
  /** Whether all of them survive a crash of the database. */
  readonly isLogged: boolean;
  /** Absent unless all three tables exist. */
  readonly content?: RelayContent;
}

/** The content of the tables. */
export interface RelayContent {
  /** Instances that hold a lease, by the clock of the database. */
  readonly instances: number;
  /** Streams whose message is not known to be in the store. */
  readonly unsettled: number;
  /** Unsettled streams whose owner holds no lease. */
  readonly ownerless: number;
  /**
   * Age of the oldest unsettled stream in milliseconds: the database's time minus the start by its owner's clock. 0 where there is none.
   */
  readonly oldestMs: number;
}

/** Reads the tables in a schema (`undefined`: the search path selects it). Rejects with the error of `pg`. */
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
    // The clocks of owner and database differ.
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
