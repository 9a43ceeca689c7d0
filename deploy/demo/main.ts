/**
 * The demo's chat app as a service that runs on: with its model and with visitors, some of whom leave. For
 * docker-compose.yml, and for everything that wants to look at a live system.
 *
 * Environment: DATABASE_URL; JOURNAL (a directory, default ./.lastchunk), HOST (default 127.0.0.1), PORT (default
 * 3000), VISITS_PER_SECOND (default 2), OTEL_EXPORTER_OTLP_ENDPOINT (default: traces stay here), RELAY (`true`: several
 * instances share what they stream, by the same database), OPENAI_BASE_URL with OPENAI_API_KEY and OPENAI_MODEL (default:
 * a model in this process that costs nothing).
 */
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import pg from 'pg';
import { APP_POOL } from '../../demo/agreed.ts';
import { createApp } from '../../demo/app.ts';
import { startUpstream } from '../../demo/upstream.ts';
import { lastchunk } from '../../src/index.ts';
import { postgres, postgresRelay } from '../../src/postgres/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { startTracing } from './tracing.ts';
import { startVisitors, teach } from './visitors.ts';

const { DATABASE_URL: connectionString, JOURNAL: journal = './.lastchunk' } = process.env;
const {
  HOST: host = '127.0.0.1',
  PORT: port = '3000',
  VISITS_PER_SECOND: rate = '2',
  RELAY,
  OPENAI_BASE_URL,
  OPENAI_MODEL: model = 'demo',
} = process.env;

const stopTracing = startTracing(process.env['OTEL_EXPORTER_OTLP_ENDPOINT']);
const upstream = OPENAI_BASE_URL === undefined ? await startUpstream() : undefined;
if (upstream !== undefined) teach(upstream);
const pool = new pg.Pool({ connectionString, application_name: APP_POOL });
// Without this, the first idle connection that dies takes the process with it.
pool.on('error', (error) => console.error('idle connection:', error.message));
await pool.query(`create table if not exists lastchunk_demo_answers (
  id bigint generated always as identity primary key, conversation_id text not null, text text not null
)`);

const metrics = prometheus();
const store = postgres({ connectionString, migrate: true });
const relay = RELAY === 'true' ? postgresRelay({ connectionString, migrate: true }) : undefined;
const keep = lastchunk({ store, journal, metrics, ...(relay && { relay }) });
// The pool of the handlers: how full it is, and who holds a connection while streaming.
keep.watchPool(pool, { name: 'app' });
const ours = upstream && { baseURL: upstream.url, apiKey: 'not needed' };
const openai = new OpenAI({ ...ours, maxRetries: 0 });
const app = createApp({ openai, model, pool, keep, metrics });
if (relay !== undefined) {
  // Whoever reaches this demo may read all of it: its answers are made up.
  app.get('/streams/:streamId', keep.resumeHandler({ authorize: () => true }));
}

let stopVisitors = (): void => {};
const server = app.listen(Number(port), host, () => {
  // A TCP server that listens has an AddressInfo.
  const { port: chosen } = server.address() as AddressInfo;
  console.log(`listening on http://${host}:${chosen}`);
  stopVisitors = startVisitors(`http://127.0.0.1:${chosen}`, Number(rate));
});
process.once('SIGTERM', () => {
  stopVisitors();
  server.close();
  upstream?.close();
  void keep
    .close()
    .then(stopTracing)
    .then(() => process.exit(0));
});
