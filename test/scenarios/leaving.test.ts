/** Clients that leave: in the middle, before the beginning, at the end, and with a full socket. */
import { once } from 'node:events';
import { SpanStatusCode } from '@opentelemetry/api';
import type { RequestHandler } from 'express';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GuardOptions } from '../../src/index.ts';
import { createChat, relay } from '../support/chat.ts';
import { chatChunk, readDeltas } from '../support/frames.ts';
import { createFullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createGate, createControllableUpstream } from '../support/controllable-upstream.ts';
import { installTracing } from '../support/tracing.ts';
import { soon, turns, until } from '../support/until.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

describe('a tab is closed mid-stream', () => {
  it('and under finish the whole answer is kept', async () => {
    const { fixture, upstream, chat, httpClient } = await openRelay();
    upstream.push('The ', 'answer ');
    await httpClient.sees('answer ');
    httpClient.fin();
    await until('the server has met the close', () => chat.testServer.closedSockets === 1);
    upstream.push('is 42.');
    upstream.end();
    const row = await fixture.agree({
      outcome: 'disconnected',
      side: 'client',
      text: 'The answer is 42.',
      complete: true,
      revision: 0,
    });
    expect(row).toMatchObject({ conversation_id: 'c1', role: 'assistant', events: null });
    const [span] = fixture.streamSpans();
    expect(span?.name).toBe('stream /chat/:id');
    expect(row?.trace_id).toBe(span?.spanContext().traceId);
    const server = spans().find(
      (one) => one.spanContext().spanId === span?.parentSpanContext?.spanId,
    );
    expect(server?.attributes).toMatchObject({ 'lastchunk.outcome': 'disconnected' });
    expect(server?.status.code).toBe(SpanStatusCode.UNSET);
    expect(row?.content.startsWith(readDeltas(httpClient.text))).toBe(true);
    expect(fixture.logbook.errors()).toEqual([]);
  });

  it('and under keep exactly what was sent until then', async () => {
    const { fixture, upstream, httpClient } = await openRelay({ disconnected: 'keep' });
    upstream.push('The ', 'answer ');
    await httpClient.sees('answer ');
    httpClient.rst();
    await fixture.recorded.ended();
    upstream.push('is 42.');
    upstream.end();
    await fixture.agree({
      outcome: 'disconnected',
      side: 'client',
      text: 'The answer ',
      complete: false,
      revision: 0,
    });
    expect(readDeltas(httpClient.text)).toBe('The answer ');
    expect(fixture.logbook.errors()).toEqual([]);
  });
});

describe('a client vanishes while its handler waits for drain', () => {
  it.each(['finish', 'keep'] as const)(
    'and the handler is not blocked under %s',
    async (disconnected) => {
      const big = 'x'.repeat(12 * 1024 * 1024);
      const returned = createGate();
      const handler: RequestHandler = async (_, res) => {
        res.type('text/plain');
        for (const chunk of ['one ', big, ' two']) {
          if (!res.write(chunk)) await once(res, 'drain');
        }
        res.end();
        returned.open();
      };
      const fixture = await createFullFixture(database, spans);
      const chat = await createChat(fixture, handler, { policy: { disconnected } });
      const httpClient = await chat.ask();
      httpClient.pause();
      await until(
        'the socket is full',
        () => chat.testServer.sockets[0]?.writableNeedDrain === true,
      );
      httpClient.rst();
      await soon('the handler', returned.promise);
      const finished = disconnected === 'finish';
      await fixture.agree({ outcome: 'disconnected', side: 'client', complete: finished });
      const [row] = await fixture.rows();
      expect(row?.content.length).toBe(4 + big.length + (finished ? 4 : 0));
      expect(row?.content.endsWith(finished ? ' two' : 'x')).toBe(true);
    },
  );
});

describe('a client leaves before there is anything to read', () => {
  it('and what a finish handler then streams is kept', async () => {
    const { fixture, chat, httpClient, go } = await openLate(stream);
    await leave(chat, httpClient, fixture);
    go.open();
    const verdict = { outcome: 'disconnected', side: 'client', complete: true } as const;
    expect(await fixture.agree(verdict)).toMatchObject({ content: 'hello' });
  });

  it('and under keep a stream that begins afterwards is skipped as empty', async () => {
    const { fixture, chat, httpClient, go } = await openLate(stream, { disconnected: 'keep' });
    await leave(chat, httpClient, fixture);
    go.open();
    expect(
      await fixture.agree({ outcome: 'disconnected', side: 'client', save: 'empty' }),
    ).toBeUndefined();
  });

  it('and an answer that never becomes a stream is not counted', async () => {
    const { fixture, chat, httpClient, go, returned } = await openLate((_, res) => {
      res.status(500).json({ error: 'no model' });
    });
    await leave(chat, httpClient, fixture);
    go.open();
    await soon('the handler', returned.promise);
    await turns(20);
    expect(fixture.recorded.told).toEqual([]);
    expect((await fixture.scrape()).sum('lastchunk_streams_started_total')).toBe(0);
    expect((await fixture.scrape()).sum('lastchunk_streams_active')).toBe(0);
  });

  it('and after the headers, before the first token, no empty row is written', async () => {
    const { fixture, upstream, chat, httpClient } = await openRelay({ disconnected: 'keep' }, true);
    await until('the headers', () => httpClient.reply?.status === 200);
    httpClient.fin();
    await until('the server has met the close', () => chat.testServer.closedSockets === 1);
    expect(
      await fixture.agree({ outcome: 'disconnected', side: 'client', save: 'empty' }),
    ).toBeUndefined();
    upstream.end();
  });

  const stream: RequestHandler = (_, res) => {
    res.type('text/event-stream').write(chatChunk({ content: 'hello' }));
    res.end(chatChunk({}, 'stop'));
  };
});

describe('a browser leaves at [DONE] and asks for the history at once', () => {
  it('and the row exists, every time', async () => {
    const fixture = await createFullFixture(database, spans);
    const chat = await createChat(fixture, (req, res) => {
      res.type('text/event-stream');
      res.write(chatChunk({ content: `hello ${String(req.params['id'])}` }));
      res.write(chatChunk({}, 'stop'));
      res.write('data: [DONE]\n\n');
      // An app that saves after its loop would do it here, too late.
      setImmediate(() => res.end());
    });
    for (let count = 1; count <= 20; count += 1) {
      const httpClient = await chat.ask(`c${count}`);
      await httpClient.sees('[DONE]');
      httpClient.fin();
      const { rows } = await fixture.reader.query(
        'SELECT content, complete, outcome, side FROM lastchunk_messages WHERE conversation_id = $1',
        [`c${count}`],
      );
      expect(rows).toEqual([
        { content: `hello c${count}`, complete: true, outcome: 'completed', side: 'server' },
      ]);
    }
    await fixture.recorded.ended(20);
    const scrape = await fixture.scrape();
    expect(scrape.sum('lastchunk_streams_ended_total', { outcome: 'completed' })).toBe(20);
    expect(scrape.sum('lastchunk_holds_total', { released: 'saved' })).toBe(20);
    expect(scrape.sum('lastchunk_saves_total', { result: 'saved' })).toBe(20);
    expect(fixture.logbook.errors()).toEqual([]);
  });
});

describe('thousands of deltas, then an abort, with Unicode at the end', () => {
  it.each(['finish', 'keep'] as const)(
    'and the text is byte-exact under %s',
    async (disconnected) => {
      const deltas = Array.from({ length: 4000 }, (_, index) => `t${index} `);
      const text = `${deltas.join('')}— “naïve” 👩‍🚀`;
      const { fixture, upstream, chat, httpClient } = await openRelay({ disconnected });
      upstream.push(...deltas, '— “naïve” ', '👩‍🚀');
      await httpClient.sees('👩‍🚀');
      httpClient.rst();
      await until('the server has met the close', () => chat.testServer.closedSockets === 1);
      upstream.end();
      await fixture.agree({
        outcome: 'disconnected',
        side: 'client',
        text,
        complete: disconnected === 'finish',
      });
      expect(readDeltas(httpClient.text)).toBe(text);
    },
  );
});

type Policies = NonNullable<GuardOptions['policy']>;

async function openRelay(policy: Policies = {}, headersFirst = false) {
  const fixture = await createFullFixture(database, spans);
  const upstream = createControllableUpstream();
  const loop = relay(upstream);
  const handler: RequestHandler = (req, res, next) => {
    if (headersFirst) res.type('text/event-stream').flushHeaders();
    return loop(req, res, next);
  };
  const chat = await createChat(fixture, handler, { policy });
  return { fixture, upstream, chat, httpClient: await chat.ask() };
}

/** A handler that computes until `go`, with nothing sent. */
async function openLate(handler: RequestHandler, policy: Policies = {}) {
  const fixture = await createFullFixture(database, spans);
  const go = createGate();
  const returned = createGate();
  let running = false;
  const late: RequestHandler = async (req, res, next) => {
    running = true;
    await go.promise;
    await handler(req, res, next);
    returned.open();
  };
  const chat = await createChat(fixture, late, { policy });
  const httpClient = await chat.ask();
  await until('the handler runs', () => running);
  return { fixture, chat, httpClient, go, returned };
}

async function leave(
  chat: Awaited<ReturnType<typeof createChat>>,
  httpClient: Awaited<ReturnType<typeof chat.ask>>,
  fixture: Awaited<ReturnType<typeof createFullFixture>>,
): Promise<void> {
  httpClient.fin();
  await until('the server has met the close', () => chat.testServer.closedSockets === 1);
  await turns();
  expect(fixture.recorded.told).toEqual([]);
}
