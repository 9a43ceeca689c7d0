/** The Stop button: the upstream is aborted, the partial kept, and the next message is none of its business. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { RequestHandler } from 'express';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createChat } from '../support/chat.ts';
import { chatChunk, readDeltas } from '../support/frames.ts';
import { createFullFixture, type FullFixture } from '../support/full-fixture.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { createGate } from '../support/controllable-upstream.ts';
import { installTracing } from '../support/tracing.ts';
import { until } from '../support/until.ts';
import { createUpstream, type Upstream } from '../support/upstream.ts';

const spans = installTracing();
let database: TestPostgres;

beforeAll(async () => {
  database = await startPostgres();
});

afterAll(() => database.remove());

type MakeHandler = (upstream: Upstream, fixture: FullFixture) => RequestHandler;

/** Gives the stream's signal to the client of the upstream. */
const bySignal: MakeHandler = (upstream, fixture) => async (_, res) => {
  const signal = fixture.keep.stream(res)?.signal;
  const stream = await complete(upstream, signal);
  res.type('text/event-stream');
  for await (const chunk of stream) res.write(`data: ${JSON.stringify(chunk)}\n\n`);
  res.end();
};

/** Listens to the response, as people did before there were signals. */
const byClose: MakeHandler = (upstream) => async (_, res) => {
  const leaving = new AbortController();
  res.on('close', () => leaving.abort());
  const stream = await complete(upstream, leaving.signal);
  res.type('text/event-stream');
  for await (const chunk of stream) res.write(`data: ${JSON.stringify(chunk)}\n\n`);
  res.end();
};

/** Hands the whole to `pipeline`, which destroys the response when it hears of a close. */
const byPipeline: MakeHandler = (upstream, fixture) => async (_, res) => {
  const signal = fixture.keep.stream(res)?.signal ?? null;
  const { body } = await fetch(`${upstream.baseURL}/chat/completions`, { signal });
  if (body === null) throw new Error('no body');
  res.type('text/event-stream');
  await pipeline(Readable.fromWeb(body), res);
};

describe('Stop is pressed while the handler waits for its upstream', () => {
  it.each([
    ['uses the signal', bySignal],
    ["listens to 'close'", byClose],
    ['is a pipeline', byPipeline],
  ])(
    'and a handler that %s aborts it; the partial message is stopped, not disconnected',
    async (_, make) => {
      const { fixture, chat, upstream } = await open(make);
      const httpClient = await chat.ask();
      const call = await upstream.call();
      call.say('The ', 'answer ');
      await httpClient.sees('answer ');
      const reply = await chat.stop(httpClient);
      expect(reply.status).toBe(200);
      await until('the upstream is aborted', () => call.aborted);
      await fixture.agree({
        outcome: 'stopped',
        side: 'client',
        text: 'The answer ',
        complete: false,
        revision: 0,
      });
      await httpClient.over();
      expect(readDeltas(httpClient.text)).toBe('The answer ');
      expect(fixture.logbook.errors()).toEqual([]);
    },
  );

  it('and a handler that ignores the stop is waited for only briefly', async () => {
    const go = createGate();
    const returned = createGate();
    const { fixture, chat } = await open(() => async (_, res) => {
      res.type('text/event-stream').write(chatChunk({ content: 'The ' }));
      await go.promise;
      res.write(chatChunk({ content: 'late ' }));
      res.end(() => returned.open());
    });
    const httpClient = await chat.ask();
    await httpClient.sees('The ');
    expect((await chat.stop(httpClient)).status).toBe(200);
    await fixture.agree({ outcome: 'stopped', side: 'client', text: 'The ', complete: false });
    expect((await httpClient.over()).body.toString()).not.toContain('late');
    go.open();
    await returned.promise;
    expect(httpClient.text).not.toContain('late');
    expect((await fixture.rows())[0]).toMatchObject({ content: 'The ', revision: 0 });
  });

  it('and an unauthorized caller gets the same answer as for an unknown stream', async () => {
    const { fixture, chat, upstream } = await open(bySignal);
    chat.app.delete('/mine/:streamId', fixture.keep.stopHandler({ authorize: () => false }));
    chat.app.delete(
      '/odd/:streamId',
      fixture.keep.stopHandler({ authorize: () => Promise.resolve(false) }),
    );
    chat.app.all(
      '/broken/:streamId',
      fixture.keep.stopHandler({
        authorize: () => {
          throw new Error('no session');
        },
      }),
    );
    const httpClient = await chat.ask();
    const call = await upstream.call();
    call.say('The ');
    await httpClient.sees('The ');
    const id = httpClient.reply?.headers['x-stream-id'] ?? '';
    const answers = await Promise.all(
      [`mine/${id}`, `odd/${id}`, `broken/${id}`, 'streams/none', 'streams/..%2f'].map(
        async (path) => {
          const reply = await fetch(`${chat.testServer.url}/${path}`, { method: 'DELETE' });
          return [reply.status, await reply.text()];
        },
      ),
    );
    expect(new Set(answers.map(String)).size).toBe(1);
    expect(answers[0]?.[0]).toBe(404);
    const other = await fetch(`${chat.testServer.url}/broken/${id}`, { method: 'PUT' });
    expect([other.status, other.headers.get('allow')]).toEqual([405, 'DELETE, POST']);
    call.finish();
    await fixture.agree({ outcome: 'completed', side: 'server', text: 'The ', complete: true });
  });
});

describe('Stop, and at once a new message in the same conversation', () => {
  it('makes two rows in order, and the second has no text of the first', async () => {
    const { fixture, chat, upstream } = await open(bySignal);
    const first = await chat.ask('talk');
    const firstCall = await upstream.call(1);
    firstCall.say('first ', 'answer ');
    await first.sees('answer ');
    const stopping = chat.stop(first);
    const second = await chat.ask('talk');
    const secondCall = await upstream.call(2);
    secondCall.say('second ');
    firstCall.say('zombie ');
    secondCall.say('answer');
    secondCall.finish();
    expect((await stopping).status).toBe(200);
    await fixture.recorded.ended(2);
    expect(await fixture.rows()).toMatchObject([
      { content: 'first answer ', outcome: 'stopped', side: 'client', conversation_id: 'talk' },
      { content: 'second answer', outcome: 'completed', complete: true, conversation_id: 'talk' },
    ]);
    expect(readDeltas((await second.over()).body.toString())).toBe('second answer');
    const scrape = await fixture.scrape();
    expect(scrape.sum('lastchunk_streams_ended_total', { outcome: 'stopped' })).toBe(1);
    expect(scrape.sum('lastchunk_streams_ended_total', { outcome: 'completed' })).toBe(1);
    expect(scrape.sum('lastchunk_saves_total', { result: 'saved' })).toBe(2);
    expect(scrape.sum('lastchunk_saves_expected_total')).toBe(2);
  });
});

function complete(upstream: Upstream, signal: AbortSignal | undefined) {
  const openai = new OpenAI({ baseURL: upstream.baseURL, apiKey: 'none', maxRetries: 0 });
  return openai.chat.completions.create(
    { model: 'm', messages: [{ role: 'user', content: 'hello' }], stream: true },
    { signal: signal ?? null },
  );
}

async function open(make: MakeHandler) {
  const fixture = await createFullFixture(database, spans);
  const upstream = await createUpstream();
  const chat = await createChat(fixture, make(upstream, fixture));
  return { fixture, upstream, chat };
}
