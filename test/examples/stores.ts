/** The stores of the examples by name, over the database of a test. */
import type { MessageStore } from '../../src/index.ts';
import { createStore as createDrizzleStore } from '../../examples/drizzle/store.ts';
import { createStore as createKnexStore } from '../../examples/knex/store.ts';
import { createStore as createKyselyStore } from '../../examples/kysely/store.ts';
import { createStore as createPgStore } from '../../examples/pg/store.ts';
import { createStore as createPrismaStore } from '../../examples/prisma/store.ts';
import { createStore as createTypeormStore } from '../../examples/typeorm/store.ts';
import { createDataSource, createPrisma } from './stand-ins.ts';

export const STORES: Readonly<Record<string, (connectionString: string) => MessageStore>> = {
  pg: createPgStore,
  knex: createKnexStore,
  kysely: createKyselyStore,
  drizzle: createDrizzleStore,
  typeorm: (connectionString) => createTypeormStore(createDataSource(connectionString)),
  prisma: (connectionString) => createPrismaStore(createPrisma(connectionString, 'meta')),
  'prisma with a driver adapter': (connectionString) =>
    createPrismaStore(createPrisma(connectionString, 'adapter')),
};
