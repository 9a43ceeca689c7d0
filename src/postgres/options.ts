/** The options of `postgres()`, checked once at the start, and the driver, loaded when a store is made. */
import { createRequire } from 'node:module';
import { LastchunkError } from '../core/errors.ts';
import {
  bad,
  flag,
  optionalFunction,
  optionGroup,
  refuseUnknown,
  show,
  wholeNumber,
} from '../core/options.ts';
import type { PgClient, PgModule } from '../core/pg-shapes.ts';
import type { StorableMessage } from './storable.ts';
import { parseTable } from './table.ts';
import type { Table } from './table.ts';
import { isObject } from '../core/values.ts';

/** Where the database is, for an app that has it in parts. What is absent comes from `PGHOST` and the like. */
export interface PgConnection {
  readonly host?: string | undefined;
  /** 1 to 65535. */
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  /** A function is asked for each new connection: tokens that expire. */
  readonly password?: string | (() => string | Promise<string>) | undefined;
  readonly database?: string | undefined;
  /** `true`, or the options of `tls.connect`. */
  readonly ssl?: boolean | object | undefined;
}

/** The app's own SQL. Runs in a transaction that is committed when it resolves; must be idempotent. */
export type WriteMessages = (
  client: PgClient,
  messages: readonly StorableMessage[],
) => Promise<unknown>;

/** Options of `postgres()`. One of `connectionString` and `connection` is needed. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly connectionString?: string | undefined;
  readonly connection?: PgConnection | undefined;
  /** `table` or `schema.table`. Default `lastchunk_messages`. */
  readonly table?: string | undefined;
  /** Makes and updates the table, at start and before the first save. Default `false`. */
  readonly migrate?: boolean | undefined;
  /** Connections at most, 1 to 100. Default 4. */
  readonly maxConnections?: number | undefined;
  /** For a new connection, or for one to become free: 1 to 60 000 ms. Default 2 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** For each statement, on the server: 1 to 600 000 ms. Default 5 000. */
  readonly statementTimeoutMs?: number | undefined;
  /** Writes messages into the app's own tables; `table` and `migrate` have no use then. */
  readonly write?: WriteMessages | undefined;
}

/** The options with every default in place. */
export interface PostgresSettings {
  /** As `pg` takes it. */
  readonly connection: object;
  readonly table: Table;
  readonly migrate: boolean;
  readonly maxConnections: number;
  readonly connectTimeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly write: WriteMessages | undefined;
}

/** Checks the options; throws `bad-option`. Whether the database answers is not asked here. */
export function checkOptions(options: PostgresOptions = {}): PostgresSettings {
  refuseUnknown('postgres()', optionGroup('postgres()', options), KNOWN);
  const write = optionalFunction('write', options.write);
  const migrate = flag('migrate', options.migrate, false);
  if (write && (migrate || options.table !== undefined)) {
    throw bad('`write` has its own tables: leave out `table` and `migrate`');
  }
  return {
    connection: checkConnection(options),
    table: parseTable(options.table),
    migrate,
    maxConnections: wholeNumber('maxConnections', options.maxConnections, {
      min: 1,
      max: 100,
      fallback: 4,
    }),
    connectTimeoutMs: wholeNumber('connectTimeoutMs', options.connectTimeoutMs, {
      min: 1,
      max: 60_000,
      fallback: 2_000,
    }),
    statementTimeoutMs: wholeNumber('statementTimeoutMs', options.statementTimeoutMs, {
      min: 1,
      max: 600_000,
      fallback: 5_000,
    }),
    write,
  };
}

/**
 * Loads `pg`, seen from the module `from`, or throws `missing-peer`.
 *
 * By `require`, not by `import`: an import at the top would end the app with a module error that does not
 * say what to do, and `await import` there would make this entry point impossible to `require()`. It also is
 * the way that tracing tools patch `pg`, so the app and the store get the same one.
 */
export function loadPg(from: string = import.meta.url): PgModule {
  try {
    const loaded: unknown = createRequire(from)('pg');
    // True for every version of `pg` in our peer range: the module has these classes.
    return loaded as PgModule;
  } catch (cause) {
    throw new LastchunkError(
      'missing-peer',
      '`pg` is needed by lastchunk/postgres and could not be loaded; install it: npm install pg',
      { cause },
    );
  }
}

function checkConnection({ connectionString, connection }: PostgresOptions): object {
  if (connectionString !== undefined && connection !== undefined) {
    throw bad('give `connectionString` or `connection`, not both');
  }
  if (connection !== undefined) return checkParts(optionGroup('connection', connection));
  if (typeof connectionString === 'string' && /^postgres(ql)?:\/\//.test(connectionString)) {
    return { connectionString };
  }
  // Never shown: it holds a password, also when it is wrong.
  throw bad(
    connectionString === undefined
      ? '`connectionString` is missing (is the environment variable set?); for PGHOST and the like give `connection: {}`'
      : '`connectionString` must start with postgres:// or postgresql://',
  );
}

function checkParts(connection: Record<string, unknown>): object {
  refuseUnknown('connection', connection, Object.keys(PARTS));
  for (const [name, { words, accepts }] of Object.entries(PARTS)) {
    const value = connection[name];
    if (value === undefined || accepts(value)) continue;
    throw bad(
      `\`connection.${name}\` must be ${words}${name === 'password' ? '' : `, not ${show(value)}`}`,
    );
  }
  return connection;
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

const PARTS: Readonly<Record<keyof PgConnection, Part>> = {
  host: { words: 'a host name or a directory of sockets', accepts: isText },
  port: {
    words: 'a whole number from 1 to 65535',
    accepts: (value) => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 65_535,
  },
  user: { words: 'a name', accepts: isText },
  password: {
    words: 'a string or a function',
    accepts: (value) => typeof value === 'string' || typeof value === 'function',
  },
  database: { words: 'a name', accepts: isText },
  ssl: {
    words: 'true, false or an object of TLS options',
    accepts: (value) => typeof value === 'boolean' || isObject(value),
  },
};

interface Part {
  readonly words: string;
  readonly accepts: (value: unknown) => boolean;
}

const KNOWN: readonly (keyof PostgresOptions)[] = [
  'connectionString',
  'connection',
  'table',
  'migrate',
  'maxConnections',
  'connectTimeoutMs',
  'statementTimeoutMs',
  'write',
];
