import { createRequire } from 'node:module';
import { LastchunkError } from '../core/errors.ts';
import type { PgModule } from '../core/pg-shapes.ts';

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
