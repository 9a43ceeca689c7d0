/**
 * What stands in for Prisma, over a real pool of `pg`: the calls that its example uses and the errors that it makes of those of
 * the driver. Its client is made by its own generator, which is no development dependency because of what it brings along.
 */
import pg from 'pg';
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
