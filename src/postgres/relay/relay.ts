/**
 * The relay over PostgreSQL. Each statement is a transaction of its own; there is no LISTEN, and behind a pooler nothing is stored in a
 * session, so it works behind PgBouncer in transaction mode. It has its own small pool, so that the relay does not wait for saves of
 * messages.
 */
import { conversationKey, isIdentifier } from '../../core/identifiers.ts';
import { LastchunkError, sqlstateOf } from '../../core/errors.ts';
import { flag, optionGroup, refuseUnknown, show, bad } from '../../core/options.ts';
import { parseEnd, readPositions } from '../../relay/engine.ts';
import type { Relay, RelayAnswer, RelayBatch, RelayRecord, RelayTail } from '../../relay/port.ts';
import { Connections } from '../connections.ts';
import { createReadiness, migrate, type Migrated, migrationScript } from '../migrations.ts';
import { checkOptions, loadPg } from '../options.ts';
import type { PostgresOptions } from '../options.ts';
import { parseTable } from '../table.ts';
import { assembleTails, exchangeValues, lengthsAfter, numbers, texts } from './rows.ts';
import {
  PURGE_AT_ONCE,
  RELAY_TABLE,
  relayMigrations,
  relayStatements,
  relayTables,
} from './statements.ts';

/** Options of `postgresRelay()`. One of `connectionString` and `connection` is needed. */
export interface PostgresRelayOptions extends Pick<
  PostgresOptions,
  'connectionString' | 'connection' | 'migrate' | 'connectTimeoutMs' | 'pg'
> {
  /** The schema of the three tables; default: the one that the role's search path selects. */
  readonly schema?: string | undefined;
  /**
   * Creates tables that survive a crash of the database; each write then costs twice as much. Default false (`UNLOGGED` tables). Read only
   * when the tables are created.
   */
  readonly durable?: boolean | undefined;
  /**
   * Maximum number of connections, 1 to 100. Default 3. With two or more, one of them serves only exchanges, so that a slow read, takeover
   * or purge does not delay a flush or the renewal of a lease.
   */
  readonly maxConnections?: number | undefined;
  /** Timeout of each statement, on the server: 1 to 600 000 ms. Default 2 000. */
  readonly statementTimeoutMs?: number | undefined;
}

/** A relay over PostgreSQL. */
export interface PostgresRelay extends Relay {
  /** Creates or updates the tables, whether or not the option `migrate` is set. */
  migrate(): Promise<Migrated>;
}

const KNOWN: readonly (keyof PostgresRelayOptions)[] = [
  'connectionString',
  'connection',
  'schema',
  'migrate',
  'durable',
  'maxConnections',
  'connectTimeoutMs',
  'statementTimeoutMs',
  'pg',
];

/**
 * Makes the relay. Throws `bad-option` for a mistake in the options and `missing-peer` without `pg`; while the database does not answer,
 * calls reject.
 */
export function postgresRelay(options: PostgresRelayOptions): PostgresRelay {
  refuseUnknown('postgresRelay()', optionGroup('postgresRelay()', options), KNOWN);
  const { schema, migrate: wanted, durable, ...connection } = options;
  const isWanted = flag('migrate', wanted, false);
  const isDurable = flag('durable', durable, false);
  const settings = checkOptions({ maxConnections: 3, statementTimeoutMs: 2_000, ...connection });
  const { target, tables, steps } = migrationOf(schema, isDurable);
  // The error of an idle connection is ignored: the next call opens another one, or rejects.
  const connect = (maxConnections: number): Connections =>
    new Connections(loadPg(options.pg), { ...settings, maxConnections }, () => undefined);
  const others = connect(Math.max(1, settings.maxConnections - 1));
  const exchanges = settings.maxConnections > 1 ? connect(1) : others;
  const migrateTables = (): Promise<Migrated> => migrate(others, target, steps);
  return new RelayTablesClient({ exchanges, others }, relayStatements(tables), {
    migrate: migrateTables,
    ready: createReadiness(isWanted, migrateTables),
  });
}

/**
 * The SQL script that creates the relay's tables as `migrate()` of the relay does, for a database without them. Throws `bad-option` for an
 * invalid schema name.
 */
export function relayMigrationScript({
  schema,
  durable = false,
}: Pick<PostgresRelayOptions, 'schema' | 'durable'>): string {
  const { target, steps } = migrationOf(schema, durable);
  return migrationScript(target, steps);
}

/**
 * Where the relay's migrations are recorded (`target`), the names of its tables, and the steps that create them. Throws `bad-option` for an
 * invalid schema name.
 */
export function migrationOf(schema: string | undefined, isDurable: boolean) {
  const name = schemaOption(schema);
  // Checks the name before it is used in any statement.
  const target = parseTable(name === undefined ? RELAY_TABLE : `${name}.${RELAY_TABLE}`);
  const tables = relayTables(name);
  return { target, tables, steps: relayMigrations(tables, isDurable) };
}

interface Preparation {
  migrate(): Promise<Migrated>;
  /** Resolves once the tables are created where the option `migrate` is set, else at once. */
  ready(): Promise<void>;
}

/** Two pools; both are the same pool where `maxConnections` is 1. */
interface RelayConnections {
  readonly exchanges: Connections;
  readonly others: Connections;
}

type Values = readonly unknown[];
type Rows = readonly Record<string, unknown>[];

class RelayTablesClient implements PostgresRelay {
  readonly #connections: RelayConnections;
  readonly #sql: ReturnType<typeof relayStatements>;
  readonly #preparation: Preparation;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(
    connections: RelayConnections,
    sql: ReturnType<typeof relayStatements>,
    preparation: Preparation,
  ) {
    this.#connections = connections;
    this.#sql = sql;
    this.#preparation = preparation;
  }

  migrate(): Promise<Migrated> {
    return this.#preparation.migrate();
  }

  async exchange(batch: RelayBatch): Promise<RelayAnswer> {
    const { exchanges } = this.#connections;
    const rows = await this.#run(this.#sql.exchange, exchangeValues(batch), exchanges);
    const { is_held, lengths, stops, followed, has_expired } = rows[0] ?? {};
    const ended = new Set(
      batch.states.filter(({ end }) => end !== null).map(({ streamId }) => streamId),
    );
    const isHeld = is_held === true;
    return {
      isHeld,
      lengths: isHeld ? lengthsAfter(batch, numbers(lengths)) : new Map(),
      // The statement reads the streams as they were before it, and so still lists those that this batch ends.
      stops: isHeld ? texts(stops).filter((id) => !ended.has(id)) : [],
      followed: texts(followed),
      hasExpired: has_expired === true,
    };
  }

  async find(query: Parameters<Relay['find']>[0]): Promise<RelayRecord | undefined> {
    if ('streamId' in query && !isIdentifier(query.streamId)) return undefined;
    const [row] =
      'streamId' in query
        ? await this.#run(this.#sql.find, [query.streamId])
        : await this.#run(this.#sql.findLive, [conversationKey(query.conversationId)]);
    if (row === undefined) return undefined;
    const { id, conversation_id, head, response_end } = row;
    return {
      streamId: String(id),
      conversationId: typeof conversation_id === 'string' ? conversation_id : null,
      head: String(head),
      end: parseEnd(response_end),
    };
  }

  async read(
    ...[positions, reading]: Parameters<Relay['read']>
  ): Promise<readonly (RelayTail | undefined)[]> {
    return readPositions(positions, async (known) => {
      const rows = await this.#run(this.#sql.read, [
        known.map(({ streamId }) => streamId),
        known.map(({ offset }) => offset),
        reading.withHeld,
        reading.maxBytes,
      ]);
      return assembleTails(known, reading, rows);
    });
  }

  async command(streamId: string): Promise<boolean> {
    if (!isIdentifier(streamId)) return false;
    return (await this.#run(this.#sql.command, [streamId])).length > 0;
  }

  async claim(instance: string, retainMs: number, repeats = false): ReturnType<Relay['claim']> {
    const rows = await this.#run(this.#sql.claim, [instance, retainMs, repeats]);
    return rows.map(({ id, head, ending }) => ({
      streamId: String(id),
      head: String(head),
      ending: typeof ending === 'string' ? ending : null,
    }));
  }

  async settled(instance: string, streamIds: readonly string[], retainMs: number): Promise<void> {
    await this.#run(this.#sql.settled, [instance, streamIds, retainMs]);
  }

  async purge(conversationId?: string): Promise<number> {
    const { purge, purgeConversation } = this.#sql;
    for (let purged = 0; ;) {
      const [row] =
        conversationId === undefined
          ? await this.#run(purge, [])
          : await this.#run(purgeConversation, [conversationKey(conversationId)]);
      const count = Number(row?.['count'] ?? 0);
      purged += count;
      if (count < PURGE_AT_ONCE) return purged;
    }
  }

  close(): Promise<void> {
    const { exchanges, others } = this.#connections;
    this.#closing ??= Promise.allSettled(this.#running).then(async () => {
      await Promise.all([...new Set([exchanges, others])].map((one) => one.close()));
    });
    return this.#closing;
  }

  async #run(text: string, values: Values, by = this.#connections.others): Promise<Rows> {
    if (this.#closing) throw new LastchunkError('closed', 'the PostgreSQL relay is closed');
    const work = this.#answer(by, text, values);
    this.#running.add(work);
    return work.finally(() => this.#running.delete(work));
  }

  async #answer(by: Connections, text: string, values: Values): Promise<Rows> {
    await this.#preparation.ready();
    try {
      return (await by.run(text, values)).rows;
    } catch (error) {
      if (sqlstateOf(error) !== UNDEFINED_TABLE) throw error;
      const advice = 'run `lastchunk migrate --relay`, or give `migrate: true`';
      throw new LastchunkError('not-migrated', `the tables of the relay are missing: ${advice}`, {
        cause: error,
      });
    }
  }
}

/** PostgreSQL, Appendix A. */
const UNDEFINED_TABLE = '42P01';

function schemaOption(schema: unknown): string | undefined {
  if (schema === undefined || (typeof schema === 'string' && schema !== '')) return schema;
  throw bad(`\`schema\` must be a name, not ${show(schema)}`);
}
