/** The databases that saves are measured on: as it is run in production, and with a disk that costs nothing. */
import { startPostgres, type TestPostgres } from '../test/support/postgres.ts';

/** `fsync` as it is set. */
const FSYNC = ['on', 'off'] as const;
export type Fsync = (typeof FSYNC)[number];

/** The settings that saves are measured with: to see that it works, one is enough. */
export function fsyncs(quick: boolean): readonly Fsync[] {
  return quick ? ['off'] : FSYNC;
}

/** Clusters that are started when they are first needed. */
export interface Databases {
  /** A new, empty database; its connection string. */
  open(fsync: Fsync): Promise<string>;
  remove(): Promise<void>;
}

export function createDatabases(): Databases {
  const clusters = new Map<Fsync, Promise<TestPostgres>>();
  return {
    open: async (fsync) => {
      const cluster = clusters.get(fsync) ?? start(fsync);
      clusters.set(fsync, cluster);
      return (await cluster).newDatabase();
    },
    remove: async () => {
      for (const cluster of clusters.values()) await (await cluster).remove();
    },
  };
}

function start(fsync: Fsync): Promise<TestPostgres> {
  return startPostgres({
    fsync,
    full_page_writes: fsync,
    // The default of PostgreSQL; the test cluster has less.
    shared_buffers: '128MB',
    // No checkpoint in the middle of a round, where it would hit one of the two.
    max_wal_size: '8GB',
    checkpoint_timeout: '1h',
  });
}
