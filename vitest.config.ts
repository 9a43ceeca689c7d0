import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // One process per file: tests open sockets and databases and send signals to themselves.
    pool: 'forks',
    // Many files run a PostgreSQL of their own; more of them than cores only makes all of them slow.
    maxWorkers: 2,
    // Real sockets, processes and databases on a busy machine: a second try is made, and the report says that it was.
    retry: 1,
    // Limits for a slow machine, not expectations: no test asserts how long something took.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});
