/** What is bounded stays bounded: clients that read nothing, an event without an end, and thousands that left. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { RequestHandler } from 'express';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { GuardOptions } from '../../src/index.ts';
import { createChat } from '../support/chat.ts';
import { createApp, createFullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { serve } from '../support/test-server.ts';
import { createGate } from '../support/controllable-upstream.ts';
import { installTracing } from '../support/tracing.ts';
import { soon, until } from '../support/until.ts';
import type { LeakReport } from './leaks-child.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

const MIB = 1024 * 1024;

describe('a client stops reading and sends no FIN', () => {
  const PIECE = 256 * 1024;
  /** More than the kernel's buffers of a local connection take, less than what is captured. */
  const PIECES = 56;

  it.each(['finish', 'keep'] as const)(
    'and stallTimeoutMs ends the stream as left by its client under %s',
    async (disconnected) => {
      const { fixture, chat, returned } = await open({
        policy: { disconnected },
        stallTimeoutMs: 300,
      });
      const httpClient = await chat.ask();
      await httpClient.sees('begin ');
      httpClient.pause();
      const socket = await until('the socket is full', () =>
        chat.testServer.sockets.find(({ writableNeedDrain }) => writableNeedDrain),
      );
      expect(socket.writableLength).toBeLessThan(4 * PIECE);
      await soon('the handler', returned.promise);
      const all = disconnected === 'finish';
      const row = await fixture.agree({ outcome: 'disconnected', side: 'client', complete: all });
      expect(socket.destroyed).toBe(true);
      expect(row?.content.startsWith('begin xxx')).toBe(true);
      expect(row?.content.length === 'begin '.length + PIECE * PIECES).toBe(all);
      expect(fixture.logbook.errors()).toEqual([]);
    },
  );

  it('and a time-out of the socket ends the stream as timed out by the server', async () => {
    const { fixture, chat } = await open({});
    chat.testServer.server.setTimeout(300);
    const httpClient = await chat.ask();
    await httpClient.sees('begin ');
    httpClient.pause();
    const socket = await until('it is connected', () => chat.testServer.sockets[0]);
    const row = await fixture.agree({ outcome: 'timed-out', side: 'server', complete: false });
    expect(socket.destroyed).toBe(true);
    expect(row?.content.startsWith('begin xxx')).toBe(true);
    httpClient.resume();
    await httpClient.over();
    expect(row?.content.startsWith(httpClient.text)).toBe(true);
  });

  /** Writes until it must wait, waits, and so on to the end. */
  async function open(options: GuardOptions) {
    const returned = createGate();
    const handler: RequestHandler = async (_, res) => {
      res.type('text/plain').write('begin ');
      for (let count = 0; count < PIECES; count += 1) {
        if (!res.write('x'.repeat(PIECE))) await once(res, 'drain');
      }
      res.end();
      returned.open();
    };
    const fixture = await createFullFixture(database, spans);
    return { fixture, returned, chat: await createChat(fixture, handler, options) };
  }
});

describe('one event of 64 MiB without a blank line', () => {
  it('is captured up to maxBytes, marked, and reaches its client whole', async () => {
    const pieces = 1024;
    const piece = Buffer.alloc(64 * 1024, 'abcdefgh');
    const handler: RequestHandler = async (_, res) => {
      res.type('text/event-stream').write('data: ');
      for (let count = 0; count < pieces; count += 1) {
        if (!res.write(piece)) await once(res, 'drain');
      }
      res.end();
    };
    const fixture = await createFullFixture(database, spans);
    const app = createApp();
    app.get('/', fixture.keep.guard({ maxBytes: MIB }), handler);
    const testServer = await serve(app);
    const seen = createHash('sha256');
    const sent = createHash('sha256').update('data: ');
    for (let count = 0; count < pieces; count += 1) sent.update(piece);
    // `once` resolves to the arguments of the event: the response.
    const [reply] = (await once(get(testServer.url), 'response')) as [IncomingMessage];
    let bytes = 0;
    for await (const part of reply as AsyncIterable<Buffer>) {
      bytes += part.length;
      seen.update(part);
    }
    expect(bytes).toBe('data: '.length + 64 * MIB);
    expect(seen.digest('hex')).toBe(sent.digest('hex'));
    const row = await fixture.agree({ outcome: 'completed', side: 'server', complete: false });
    expect(row?.content).toBe('abcdefgh'.repeat(MIB / 8).slice(0, MIB - 'data: '.length));
    const { rows } = await fixture.reader.query(
      'SELECT bytes, dropped_bytes FROM lastchunk_messages',
    );
    expect(rows).toEqual([{ bytes: String(bytes), dropped_bytes: String(bytes - MIB) }]);
    expect((await fixture.scrape()).sum('lastchunk_captures_cut_total')).toBe(1);
    expect(fixture.recorded.ends).toMatchObject([{ bytes }]);
  });
});

describe('five thousand aborted streams', () => {
  it('leave no stream, timer or connection, under finish and under keep', async () => {
    const script = fileURLToPath(new URL('leaks-child.ts', import.meta.url));
    const args = ['--expose-gc', '--import', 'tsx', script, await database.newDatabase()];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    // The child writes one line.
    const report = JSON.parse(await text(child.stdout)) as LeakReport;
    const { before, after } = report;
    expect(report.streams).toBe(5000);
    expect(report.rows).toBe(report.warmUp + report.streams);
    expect(after).toMatchObject({ active: 0, pending: 0, finishing: 0 });
    expect(after.serverListeners).toBe(before.serverListeners);
    // A connection of the pool that is idle has a timer.
    expect(after.timers).toBeLessThanOrEqual(before.timers + 4);
    expect(after.responses).toBeLessThanOrEqual(before.responses + 10);
    expect((after.heap - before.heap) / report.streams).toBeLessThan(2048);
    expect(report.socketListeners).toEqual(report.socketListenersAtFirst);
    // Five thousand connections take their time on a machine that does other things too.
  }, 600_000);
});
