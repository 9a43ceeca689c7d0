/** The databases that saves are measured on: as it is run in production, and with a disk that costs nothing. */
import { startPostgres } from '../test/support/postgres.ts';

/** `fsync` as it is set. */
export const FSYNC = ['on', 'off'] as const;

/** Runs `work` on a cluster of its own. */
export async function onDatabase(
  fsync: (typeof FSYNC)[number],
  work: (connectionString: string) => Promise<void>,
): Promise<void> {
  const server = await startPostgres({
    fsync,
    full_page_writes: fsync,
    // The default of PostgreSQL; the test cluster has less.
    shared_buffers: '128MB',
    // No checkpoint in the middle of a round, where it would hit one of the two.
    max_wal_size: '8GB',
    checkpoint_timeout: '1h',
  });
  try {
    await work(await server.newDatabase());
  } finally {
    await server.remove();
  }
}
