/** The stores of the examples by name, over the database of a test. Each loads its packages when it is opened. */
import type { SqliteLike } from '../../examples/sqlite/store.ts';
import type { MessageStore } from '../../src/index.ts';

export const STORES: Readonly<Record<string, (connectionString: string) => Promise<MessageStore>>> =
  {
    pg: async (url) => (await import('../../examples/pg/store.ts')).createStore(url),
    knex: async (url) => (await import('../../examples/knex/store.ts')).createStore(url),
    kysely: async (url) => (await import('../../examples/kysely/store.ts')).createStore(url),
    drizzle: async (url) => (await import('../../examples/drizzle/store.ts')).createStore(url),
    typeorm: async (url) => {
      const { DataSource } = await import('typeorm');
      const { createStore } = await import('../../examples/typeorm/store.ts');
      const extra = { connectionTimeoutMillis: 2_000, max: 2 };
      return createStore(new DataSource({ type: 'postgres', url, extra }));
    },
    prisma: (url) => openPrisma(url, 'meta'),
    'prisma with a driver adapter': (url) => openPrisma(url, 'adapter'),
  };

/** The store of an example. Throws when there is none of that name. */
export function openExample(name: string, connectionString: string): Promise<MessageStore> {
  const open = STORES[name];
  if (open === undefined) throw new Error(`there is no example ${name}`);
  return open(connectionString);
}

/** What is used of `node:sqlite`. */
export interface Sqlite {
  readonly DatabaseSync: new (path: string) => SqliteLike;
}

/** Node has it from 22.5 on; `undefined` before. The types of Node 20 do not know it. */
export const sqlite = process.getBuiltinModule('node:sqlite') as unknown as Sqlite | undefined;

/** The store of the example over SQLite, in that file. Throws where Node has no SQLite. */
export async function openSqlite(path: string): Promise<MessageStore> {
  if (sqlite === undefined) throw new Error('this Node has no node:sqlite');
  const { createStore } = await import('../../examples/sqlite/store.ts');
  return createStore(new sqlite.DatabaseSync(path));
}

async function openPrisma(url: string, shape: 'meta' | 'adapter'): Promise<MessageStore> {
  const { createPrisma } = await import('./stand-ins.ts');
  return (await import('../../examples/prisma/store.ts')).createStore(createPrisma(url, shape));
}
