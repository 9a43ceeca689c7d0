/**
 * What stands in for TypeORM and Prisma, over a real pool of `pg`: of each the calls that its example uses and the errors
 * that it makes of those of the driver. Neither is a development dependency, because of what they bring along.
 */
import pg from 'pg';
import type { DataSourceLike } from '../../examples/typeorm/store.ts';
import type { PrismaLike } from '../../examples/prisma/store.ts';

function openPool(connectionString: string): pg.Pool {
  const pool = new pg.Pool({ connectionString, connectionTimeoutMillis: 2000, max: 2 });
  pool.on('error', () => {
    // The tests stop the database on purpose.
  });
  return pool;
}

async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>) {
  const client = await pool.connect();
  // A connection that breaks while it is lent rejects its query, which is enough.
  const ignore = (): void => {};
  client.on('error', ignore);
  let isWhole = false;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    isWhole = true;
    return result;
  } finally {
    client.off('error', ignore);
    client.release(!isWhole);
  }
}

/** typeorm/error/QueryFailedError: the fields of the driver's error are its own. */
class QueryFailedError extends Error {
  readonly driverError: unknown;

  constructor(query: string, parameters: readonly unknown[], driverError: unknown) {
    super(
      `${driverError instanceof Error ? driverError.message : ''} (${query} ${parameters.length})`,
    );
    Object.assign(this, driverError);
    this.driverError = driverError;
  }
}

/** A `DataSource`, as far as the example uses it. */
export function createDataSource(connectionString: string): DataSourceLike {
  const pool = openPool(connectionString);
  return {
    transaction: (run) =>
      inTransaction(pool, (client) =>
        run({
          query: async (sql, parameters) => {
            try {
              return (await client.query(sql, parameters)).rows;
            } catch (error) {
              throw new QueryFailedError(sql, parameters, error);
            }
          },
        }),
      ),
    destroy: () => pool.end(),
  };
}

/** Error reference of Prisma: P2010, a raw query failed. */
class PrismaClientKnownRequestError extends Error {
  readonly code = 'P2010';
  readonly meta: object;

  constructor(meta: object) {
    super('Raw query failed');
    this.meta = meta;
  }
}

/** A `PrismaClient`, as far as the example uses it; `shape` is where it puts the SQLSTATE. */
export function createPrisma(connectionString: string, shape: 'meta' | 'adapter'): PrismaLike {
  const pool = openPool(connectionString);
  const metaOf = (code: unknown): object =>
    shape === 'meta' ? { code } : { driverAdapterError: { cause: { originalCode: code } } };
  return {
    $transaction: (run) =>
      inTransaction(pool, (client) =>
        run({
          $executeRawUnsafe: async (sql, ...values) => {
            try {
              return (await client.query(sql, values)).rowCount ?? 0;
            } catch (error) {
              const code: unknown = error instanceof Error && 'code' in error ? error.code : '';
              throw new PrismaClientKnownRequestError(metaOf(code));
            }
          },
        }),
      ),
    $disconnect: () => pool.end(),
  };
}
