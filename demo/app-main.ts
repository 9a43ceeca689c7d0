/**
 * The process the app runs in, started, killed and started again by `app-process.ts`. Its environment says
 * where the database, the journal and the model are; RELAY (`true`) makes it one of several instances.
 */
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import pg from 'pg';
import { lastchunk } from '../src/index.ts';
import { postgres, postgresRelay } from '../src/postgres/index.ts';
import { prometheus } from '../src/telemetry/prometheus.ts';
import { APP_POOL } from './agreed.ts';
import { createApp } from './app.ts';

const { DATABASE_URL: connectionString, JOURNAL: journal, OPENAI_MODEL, RELAY } = process.env;

const pool = new pg.Pool({
  connectionString,
  application_name: APP_POOL,
  connectionTimeoutMillis: 2_000,
});
// Without this, the first idle connection that dies takes the process with it.
pool.on('error', (error) => console.error('idle connection:', error.message));

/** The shortest lease there is: nobody wants to wait for the end of a demo. */
const relay =
  RELAY === 'true' ? { engine: postgresRelay({ connectionString }), leaseMs: 2_000 } : undefined;
const metrics = prometheus();
const keep = lastchunk({
  store: postgres({ connectionString, migrate: true }),
  ...(journal !== undefined && { journal }),
  ...(relay && { relay }),
  metrics,
});

keep.watchPool(pool, { name: 'app' });

const model = OPENAI_MODEL ?? 'gpt-5-mini';
const app = createApp({ openai: new OpenAI(), model, pool, keep, metrics });
if (relay !== undefined) {
  // It listens for this machine alone, and its answers are made up.
  app.get('/streams/:streamId', keep.resumeHandler({ authorize: () => true }));
}
const server = app.listen(0, '127.0.0.1', () => {
  // A TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}` });
});
process.once('SIGTERM', () => {
  server.close();
  void keep.close().then(() => process.exit(0));
});
// The demo is gone: so is the reason to be here.
process.once('disconnect', () => process.exit(0));
