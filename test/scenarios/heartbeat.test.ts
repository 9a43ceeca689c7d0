/** better-sse, unchanged, with its heartbeat, while the database hangs: nothing is thrown, and no answer loses its end. */
import { setTimeout as delay } from 'node:timers/promises';
import { createSession } from 'better-sse';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { lastchunk } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';
import { openClient } from '../support/http-client.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';
import { serve } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const STREAMS = 20;
const HEARTBEAT_MS = 100;
/** Room for several heartbeats while each end is held. */
const CONFIRM_MS = 450;

let database: TestPostgres;
beforeAll(async () => {
  database = await startPostgres();
});
afterAll(() => database.remove());

describe('20 sessions with a heartbeat of 100 ms', () => {
  it('end completely and without an uncaught error while the database hangs, and are saved later', async () => {
    const uncaught = watchUncaught();
    const { keep, proxy, rows } = await open();
    let beats = 0;
    const guard = keep.guard({ confirmTimeoutMs: CONFIRM_MS }, async (req, res) => {
      const session = await createSession(req, res, { keepAlive: HEARTBEAT_MS });
      session.push({ content: 'one' });
      await delay(10);
      session.push({ content: ' two' });
      res.end();
      // What its heartbeat does; counted here, because a write that comes too late is told to nobody.
      const beat = setInterval(() => {
        beats += 1;
      }, HEARTBEAT_MS);
      res.once('close', () => clearInterval(beat));
    });
    const testServer = await serve((req, res) => void guard(req, res));
    await (await openClient(testServer, '/')).over();
    await until('the first is saved', async () => (await rows()) === 1);
    proxy.pause();
    const clients = await Promise.all(
      Array.from({ length: STREAMS }, () => openClient(testServer, '/')),
    );
    const replies = await Promise.all(clients.map((client) => client.over()));
    expect(replies.map(({ whole }) => whole)).toEqual(Array(STREAMS).fill(true));
    expect(beats).toBeGreaterThanOrEqual(STREAMS);
    expect(uncaught).toEqual([]);
    proxy.resume();
    await until('all are saved', async () => (await rows()) === STREAMS + 1);
    expect(uncaught).toEqual([]);
  });
});

/** A guard whose database stands behind a proxy that can hang. */
async function open() {
  const connectionString = await database.newDatabase();
  const proxy = await startTcpProxy(database.port);
  const behind = new URL(connectionString);
  behind.port = String(proxy.port);
  const store = postgres({ connectionString: behind.href, migrate: true });
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  const keep = lastchunk({ store, journal: false, logger });
  const reader = new pg.Pool({ connectionString, max: 1 });
  onTestFinished(async () => {
    proxy.resume();
    await keep.close({ deadlineMs: 2000 });
    await reader.end();
    await proxy.close();
  });
  const rows = async (): Promise<number> => {
    const { rows: all } = await reader.query<{ count: number }>(
      'SELECT count(*)::int AS count FROM lastchunk_messages WHERE complete',
    );
    return all[0]?.count ?? 0;
  };
  return { keep, proxy, rows };
}

/** Errors that would have ended the process, from now on. */
function watchUncaught(): readonly string[] {
  const seen: string[] = [];
  const note = (error: Error): void => void seen.push(error.message);
  process.on('uncaughtExceptionMonitor', note);
  onTestFinished(() => void process.off('uncaughtExceptionMonitor', note));
  return seen;
}
