import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { SecondTries, STALLED } from './test/support/second-tries.ts';

/** The examples import the package by its name, as an app does. */
const source = (file: string): string => fileURLToPath(new URL(`src/${file}`, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^lastchunk$/, replacement: source('index.ts') },
      { find: /^lastchunk\/postgres$/, replacement: source('postgres/index.ts') },
      { find: /^lastchunk\/client$/, replacement: source('client.ts') },
      { find: /^lastchunk\/testing$/, replacement: source('testing.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    // One process per file: tests open sockets and databases and send signals to themselves.
    pool: 'forks',
    // Many files run a PostgreSQL of their own; more of them than cores only makes all of them slow.
    maxWorkers: 2,
    // A test that fails sometimes is a bug in it or in the code, and no second try hides it, unless the event loop was blocked during the
    // test, as on an overloaded machine. The reporter names such a try, with the time.
    retry: { count: 1, condition: STALLED },
    setupFiles: ['test/support/stalls.ts'],
    reporters: ['default', new SecondTries()],
    // Limits for a slow machine, not expectations: no test asserts how long something took.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
  },
});
