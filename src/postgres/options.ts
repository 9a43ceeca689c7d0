/** The options of `postgres()`, checked once at the start; and the driver `pg`, loaded when a store is created. */
import { LastchunkError } from '../core/errors.ts';
import { appPlaces, loadPeer } from '../core/load-peer.ts';
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

/** The address of the database in parts, instead of a connection string. Absent parts come from `PGHOST` and the like. */
export interface PgConnection {
  readonly host?: string | undefined;
  /** 1 to 65535. */
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  /** A function is called for each new connection, for tokens that expire. */
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

/** The module `pg`. A structural type, so that this package does not need the types of `pg`. */
export interface PgDriver {
  readonly Pool: new (...args: never[]) => object;
  readonly Query: new (...args: never[]) => object;
}

/** Options of `postgres()`. One of `connectionString` and `connection` is needed. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`. */
  readonly connectionString?: string | undefined;
  readonly connection?: PgConnection | undefined;
  /** `table` or `schema.table`. Default `lastchunk_messages`. */
  readonly table?: string | undefined;
  /** Creates or updates the table, at the start and before the first save. Default `false`. */
  readonly migrate?: boolean | undefined;
  /** Maximum number of connections, 1 to 100. Default 4. */
  readonly maxConnections?: number | undefined;
  /** Timeout for a new connection, or for one to become free: 1 to 60 000 ms. Default 2 000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Timeout of each statement, on the server: 1 to 600 000 ms. Default 5 000. */
  readonly statementTimeoutMs?: number | undefined;
  /** The module `pg`; default the one that is installed. Needed in a bundle. */
  readonly pg?: PgDriver | undefined;
  /** Writes messages into the app's own tables; cannot be combined with `table` or `migrate: true`. */
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

/** Checks the options; throws `bad-option`. Does not connect to the database. */
export function checkOptions(options: PostgresOptions = {}): PostgresSettings {
  if (typeof options === 'string') {
    throw bad('postgres() takes options, not a string: postgres({ connectionString: … })');
  }
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
 * Checks the given driver, or loads the one that is installed. Throws `bad-option` for something that is not
 * `pg` and `missing-peer` where there is none to load, as in a bundle.
 */
export function loadPg(given?: unknown, places: readonly string[] = appPlaces()): PgModule {
  if (given !== undefined) {
    const driver = isObject(given) && 'default' in given ? given.default : given;
    if (isPg(driver)) return driver;
    throw bad("`pg` must be the module pg: `import pg from 'pg'` or `require('pg')`");
  }
  let cause: unknown;
  try {
    const loaded = loadPeer('pg', places);
    if (isPg(loaded)) return loaded;
  } catch (error) {
    cause = error;
  }
  throw new LastchunkError(
    'missing-peer',
    'lastchunk/postgres needs `pg` and did not find it: npm install pg. In a bundle, or where it is installed elsewhere, ' +
      "hand it in: import pg from 'pg'; postgres({ pg, … })",
    { cause },
  );
}

/** Narrows to the classes that we use; every version of `pg` in our peer range has them. */
function isPg(value: unknown): value is PgModule {
  if (!isObject(value) || !('Pool' in value) || !('Query' in value)) return false;
  return typeof value.Pool === 'function' && typeof value.Query === 'function';
}

function checkConnection({ connectionString, connection }: PostgresOptions): object {
  if (connectionString !== undefined && connection !== undefined) {
    throw bad('give `connectionString` or `connection`, not both');
  }
  if (connection !== undefined) return checkParts(optionGroup('connection', connection));
  if (typeof connectionString === 'string' && /^postgres(ql)?:\/\//.test(connectionString)) {
    if (isAddress(connectionString)) return { connectionString };
    throw bad(
      '`connectionString` cannot be read as an address; characters such as # / ? @ in its password must be percent-encoded',
    );
  }
  // The value is never shown: it may contain a password even if it is invalid.
  throw bad(
    connectionString === undefined
      ? '`connectionString` is missing (is the environment variable set?); for PGHOST and the like give `connection: {}`'
      : '`connectionString` must start with postgres:// or postgresql://',
  );
}

/** Accepts what `pg-connection-string` accepts: also spaces, and an address without a host, for a socket's directory. */
function isAddress(text: string): boolean {
  const encoded = / |%[^a-f0-9]|%[a-f0-9][^a-f0-9]/i.test(text) ? encodeURI(text) : text;
  return URL.canParse(encoded) || URL.canParse(encoded.replace('@/', '@host/'));
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
  'pg',
  'write',
];
