/** The stores of the examples by name, over the database of a test. Each loads its packages when it is opened. */
import type { MessageStore } from '../../src/index.ts';

export const STORES: Readonly<Record<string, (connectionString: string) => Promise<MessageStore>>> =
  {
    pg: async (url) => (await import('../../examples/pg/store.ts')).createStore(url),
    knex: async (url) => (await import('../../examples/knex/store.ts')).createStore(url),
    kysely: async (url) => (await import('../../examples/kysely/store.ts')).createStore(url),
    drizzle: async (url) => (await import('../../examples/drizzle/store.ts')).createStore(url),
    typeorm: async (url) => {
      const { createDataSource } = await import('./stand-ins.ts');
      return (await import('../../examples/typeorm/store.ts')).createStore(createDataSource(url));
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

async function openPrisma(url: string, shape: 'meta' | 'adapter'): Promise<MessageStore> {
  const { createPrisma } = await import('./stand-ins.ts');
  return (await import('../../examples/prisma/store.ts')).createStore(createPrisma(url, shape));
}
