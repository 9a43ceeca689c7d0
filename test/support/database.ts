/** A PostgreSQL server for one test file, and a new database for each of its tests. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { startPostgres } from './postgres.ts';
import type { TestPostgres } from './postgres.ts';

export interface TestDatabase {
  readonly server: TestPostgres;
  /** Connection string of the running test's database, which is empty at first. */
  url: string;
}

/** To be called once in a file, before its own `beforeEach`. If a test has stopped the server, it is started again for the next test. */
export function useDatabase(): TestDatabase {
  let server: TestPostgres | undefined;
  const database: TestDatabase = {
    get server() {
      if (server === undefined) throw new Error('there is a server in tests only');
      return server;
    },
    url: '',
  };
  beforeAll(async () => {
    server = await startPostgres();
  }, 60_000);
  afterAll(() => server?.remove());
  beforeEach(async () => {
    await database.server.start();
    database.url = await database.server.newDatabase();
  });
  return database;
}
