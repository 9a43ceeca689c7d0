/** The status over HTTP: who gets it, in which form, with which headers, and what it says. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import express from 'express';
import express4 from 'express4';
import { describe, expect, it } from 'vitest';
import type { Status, StatusAnswer, StatusOptions } from '../../src/index.ts';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import { openClient } from '../support/http-client.ts';
import { startReplica, createShared, beginChat } from '../support/replicas.ts';
import { serve, serveHttp2 } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const HTML = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
const JSON_ONLY = { accept: 'application/json' };

/** An app whose handler writes what the test wants, and its status. */
async function open(options: Partial<StatusOptions> = {}, instance = createInMemoryInstance()) {
  const { keep } = instance;
  const talks: express.Response[] = [];
  const app = express();
  app.use('/status', keep.statusHandler({ authorize: () => true, ...options }));
  const message = (req: { params: Record<string, string | undefined> }) => ({
    conversationId: req.params['id'],
  });
  app.post('/chat/:id', keep.guard({ message }), (_req, res) => void talks.push(res));
  const server = await serve(app);
  const ask = (path = '/status', headers: Record<string, string> = JSON_ONLY) =>
    fetch(`${server.url}${path}`, { headers });
  const read = async (): Promise<StatusAnswer> => (await (await ask()).json()) as StatusAnswer;
  const begin = async (id: string): Promise<express.Response> => {
    const known = talks.length;
    await openClient(server, `/chat/${id}`, { method: 'POST' });
    await until('the handler runs', () => talks.length > known);
    // It was just waited for.
    return talks[known] as express.Response;
  };
  return { ...instance, ...server, ask, read, begin };
}

describe('authorization', () => {
  it('is required', () => {
    const { keep } = createInMemoryInstance();
    // untrue on purpose: called from JavaScript
    const wrong = {} as StatusOptions;
    expect(() => keep.statusHandler(wrong)).toThrow(/statusHandler\(\) needs `authorize`/);
    expect(() => keep.statusHandler({ authorise: () => true } as unknown as StatusOptions)).toThrow(
      /did you mean `authorize`/,
    );
  });

  it.each<[string, StatusOptions['authorize']]>([
    ['returns false', () => false],
    ['resolves with false', async () => Promise.resolve(false)],
    ['returns a truthy value other than true', () => 'yes' as unknown as boolean],
    [
      'throws',
      () => {
        throw new Error('no session');
      },
    ],
  ])('that %s answers 404 to every request, as for an unknown path', async (_, authorize) => {
    const { ask, url } = await open({ authorize });
    for (const path of ['/status', '/status?runbook=README', '/status/README.md']) {
      for (const accept of ['text/html', 'application/json', 'text/event-stream']) {
        const response = await ask(path, { accept });
        expect([response.status, await response.text()]).toEqual([404, '{"error":"not found"}']);
        expect(response.headers.get('cache-control')).toBe('no-store');
      }
    }
    const post = await fetch(`${url}/status`, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([404, null]);
  });

  it('gets the request of the app', async () => {
    const authorize = (req: { headers: Record<string, unknown> }): boolean =>
      req.headers['x-user'] === 'ann';
    const { ask } = await open({ authorize: authorize as StatusOptions['authorize'] });
    expect((await ask('/status', { ...JSON_ONLY, 'x-user': 'bob' })).status).toBe(404);
    expect((await ask('/status', { ...JSON_ONLY, 'x-user': 'ann' })).status).toBe(200);
  });
});

describe('the response', () => {
  it.each([
    ['a browser', HTML['accept'], 'text/html; charset=utf-8'],
    ['a program that takes anything', '*/*', 'text/html; charset=utf-8'],
    ['a program that asks for JSON', 'application/json', 'application/json'],
    ['axios', 'application/json, text/plain, */*', 'application/json'],
    ['a client that prefers HTML', 'application/json;q=0.5, text/html', 'text/html; charset=utf-8'],
    ['a client that refuses HTML', 'text/html;q=0, */*', 'application/json'],
    ['an EventSource', 'text/event-stream', 'text/event-stream; charset=utf-8'],
    ['a client that accepts only images', 'image/png', 'text/html; charset=utf-8'],
  ])('to %s has the right content type', async (_, accept, type) => {
    const { port, transport } = await open();
    const client = await openClient({ port, transport }, '/status', { headers: { accept } });
    const { status, headers } = await until('the head is there', () => client.reply);
    expect([status, headers['content-type']]).toEqual([200, type]);
  });

  it.each(['text/html', 'application/json', 'text/event-stream'])(
    'as %s must not be cached or framed',
    async (accept) => {
      const { port, transport } = await open();
      const client = await openClient({ port, transport }, '/status', { headers: { accept } });
      const { headers } = await until('the head is there', () => client.reply);
      expect(headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
        vary: 'Accept',
      });
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(headers['content-security-policy']).not.toContain('unsafe');
    },
  );

  it('has only headers for HEAD, and is 405 for other methods', async () => {
    const { url } = await open();
    for (const accept of ['text/html', 'application/json', 'text/event-stream']) {
      const head = await fetch(`${url}/status`, { method: 'HEAD', headers: { accept } });
      expect([head.status, await head.text()]).toEqual([200, '']);
    }
    const post = await fetch(`${url}/status`, { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });

  it('is left to the error handling of the app if a function of the app throws', async () => {
    const { keep } = createInMemoryInstance({
      store: {
        save: () => Promise.resolve(),
        close: () => Promise.resolve(),
        pool: () => {
          throw new Error('a pool of the app');
        },
      } as never,
    });
    const app = express().set('env', 'test');
    app.get('/status', keep.statusHandler({ authorize: () => true }));
    const bare = createServer(keep.statusHandler({ authorize: () => true }) as never);
    expect((await fetch(`${(await serve(app)).url}/status`)).status).toBe(500);
    const { url } = await serve((req, res) => void bare.emit('request', req, res));
    expect(await (await fetch(url)).json()).toEqual({ error: 'internal error' });
  });
});

describe('the status', () => {
  it('of an instance without streams is healthy and empty', async () => {
    const { read } = await open();
    const status = await read();
    expect(status).toMatchObject({
      health: { status: 'healthy', saveRate: {} },
      reasons: [],
      history: [],
      streams: { total: 0, oldest: [] },
      pools: [],
      failures: [],
      objectives: { saved: 0.999, timely: 0.99 },
    });
    expect(status.instance).toMatchObject({ pid: process.pid, node: process.version });
    expect(status.alerts.map(({ name }) => name)).toContain('LastchunkMessagesLost');
  });

  it('has the configured objectives', async () => {
    const { read } = await open({ slo: { objective: 99.5, minFailures: 7 } });
    const { objectives, alerts } = await read();
    expect(objectives.saved).toBe(0.995);
    expect(alerts.find(({ name }) => name === 'LastchunkSaveErrorBudgetBurn')?.expr).toContain(
      '0.995',
    );
    const { keep } = createInMemoryInstance();
    const slo = { objective: 5 };
    expect(() => keep.statusHandler({ authorize: () => true, slo })).toThrow(/`objective` must be/);
  });

  it('shows a stream from its request to its result, without its text', async () => {
    const { read, begin, store } = await open();
    const res = await begin('secret-conversation');
    const phase = async () => (await read()).streams.oldest.map((stream) => stream.phase);
    expect(await phase()).toEqual(['waiting']);
    res.type('text/event-stream').write('data: {"text":"secret words"}\n\n');
    const { streams } = await read();
    expect(streams).toMatchObject({
      total: 1,
      oldest: [{ route: '/chat/:id', guarded: true, phase: 'streaming', chunks: 1, bytes: 31 }],
    });
    store.hold();
    res.end('data: [DONE]\n\n');
    await until('the last frame is held', async () => (await phase())[0] === 'holding');
    expect(JSON.stringify(await read())).not.toContain('secret');
    store.answer();
    await until('it is saved', async () => (await read()).streams.total === 0);
    const { history, health } = await read();
    expect(history).toMatchObject([{ results: { saved: 1, journaled: 0, lost: 0, missing: 0 } }]);
    expect(health.saveRate.oneHour).toBe(1);
  });

  it('has conversations if the option is set', async () => {
    const { read, begin } = await open({ conversations: true });
    const res = await begin('mine');
    expect((await read()).streams.oldest[0]?.conversationId).toBe(null);
    res.type('text/event-stream').write('data: {"text":"hi"}\n\n');
    expect((await read()).streams.oldest[0]?.conversationId).toBe('mine');
  });

  it('describes a failure in words, with a count and a runbook, and without the message', async () => {
    const { read, begin, store } = await open();
    store.fail(Object.assign(new Error('the value was secret'), { code: '57P01' }));
    const res = await begin('secret-conversation');
    res.type('text/event-stream').end('data: {"text":"secret words"}\n\n');
    const told = await until('it is told', async () => {
      const { failures, reasons } = await read();
      return failures.length > 0 && reasons.length > 0 && { failures, reasons };
    });
    expect(told.failures).toMatchObject([
      {
        kind: 'attempt',
        words: 'A write to the store failed, and is tried again.',
        detail: '57P01, the server was shut down',
        runbook: 'LastchunkSaveTimelinessBudgetBurn',
      },
    ]);
    expect(told.reasons).toMatchObject([
      {
        reason: 'store-away',
        words:
          'the store does not answer (57P01, the server was shut down); no journal takes messages meanwhile',
        runbook: 'LastchunkStoreDown',
      },
    ]);
    expect(JSON.stringify(told)).not.toContain('secret');
  });

  it('says that messages wait in the relay while the store does not answer and there is no journal', async () => {
    const shared = createShared();
    shared.store.fail(Object.assign(new Error('away'), { code: 'ECONNREFUSED' }));
    const replica = await startReplica(shared);
    const app = express();
    app.get('/status', replica.keep.statusHandler({ authorize: () => true }));
    const { url } = await serve(app);
    await openClient(replica.server, '/chat/c', { method: 'POST' });
    const talk = await until('the handler runs', () => replica.talks[0]);
    talk.res.type('text/event-stream').end('data: {"text":"hi"}\n\n');
    const advice = await until('the store is known to be away', async () => {
      const answer = await fetch(`${url}/status`, { headers: JSON_ONLY });
      const { reasons } = (await answer.json()) as Status;
      return reasons.find(({ reason }) => reason === 'store-away');
    });
    expect(advice.words).toMatch(
      /^the store does not answer \(ECONNREFUSED.*; messages wait in the relay$/,
    );
    expect(advice.runbook).toBe('LastchunkStoreDown');
  });

  it('shows the relay: the lease of this instance, and who reads its streams', async () => {
    const replica = await startReplica(createShared());
    const app = express();
    app.get('/status', replica.keep.statusHandler({ authorize: () => true }));
    const { url } = await serve(app);
    const status = await until('it holds a lease', async () => {
      const answer = (await (
        await fetch(`${url}/status`, { headers: JSON_ONLY })
      ).json()) as Status;
      return answer.relay?.lease !== undefined && answer;
    });
    expect(status.relay).toMatchObject({ following: [] });
    expect(status.health.relay).toMatchObject({ up: true });
  });

  it('shows how many readers resume a stream', async () => {
    const { here, talk } = await beginChat();
    talk.res.type('text/event-stream').write('data: {"text":"hi"}\n\n');
    const app = express();
    app.get('/status', here.keep.statusHandler({ authorize: () => true }));
    const { url } = await serve(app);
    const read = async () =>
      ((await (await fetch(`${url}/status`, { headers: JSON_ONLY })).json()) as Status).streams;
    expect((await read()).oldest[0]?.readers).toEqual({ here: 0, elsewhere: false });
    const reader = await openClient(here.server, `/streams/${talk.streamId}`);
    await reader.sees('hi');
    expect((await read()).oldest[0]?.readers).toEqual({ here: 1, elsewhere: false });
    talk.res.end();
  });
});

describe('runbooks', () => {
  it.each(['/status?runbook=LastchunkMessagesLost', '/status/LastchunkMessagesLost.md'])(
    'are pages: %s',
    async (path) => {
      const { ask } = await open();
      const response = await ask(path, JSON_ONLY);
      expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
      expect(response.headers.get('content-security-policy')).not.toContain('script-src');
      const html = await response.text();
      expect(html).toContain('<h1>LastchunkMessagesLost</h1>');
      expect(html).toContain(path.includes('?') ? '<a href="?">' : '<a href="./">');
    },
  );

  it.each(['?runbook=constructor', '?runbook=../README', '/Nothing.md', '?runbook='])(
    'that do not exist are 404: %s',
    async (path) => {
      const { ask } = await open();
      const response = await ask(`/status${path}`, HTML);
      expect([response.status, await response.json()]).toEqual([404, { error: 'no such runbook' }]);
    },
  );
});

describe('events', () => {
  const view = async ({ port, transport }: Awaited<ReturnType<typeof open>>) =>
    openClient({ port, transport }, '/status', { headers: { accept: 'text/event-stream' } });

  it('are sent at once and every second, each the whole status', async () => {
    const bench = await open();
    const viewer = await view(bench);
    await viewer.sees('"total":0');
    const res = await bench.begin('mine');
    res.type('text/event-stream').write('data: {"text":"hi"}\n\n');
    await viewer.sees('"total":1');
    res.end('data: [DONE]\n\n');
    await viewer.sees('"saved":1');
    expect(viewer.reply?.whole).toBe(false);
  });

  it('are sent to maxViewers at most, until one leaves', async () => {
    const bench = await open({ maxViewers: 1 });
    const viewer = await view(bench);
    await viewer.sees('data: {');
    const refused = await bench.ask('/status', { accept: 'text/event-stream' });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
    expect(await refused.json()).toEqual({ error: 'too many viewers' });
    viewer.rst();
    await until('there is room', async () => {
      const leave = new AbortController();
      const accept = 'text/event-stream';
      const again = await fetch(`${bench.url}/status`, {
        headers: { accept },
        signal: leave.signal,
      });
      leave.abort();
      return again.status === 200;
    });
  });

  it('over HTTP/2 free the place of a viewer who left during authorization', async () => {
    const { keep } = createInMemoryInstance();
    const asked: ((isAllowed: boolean) => void)[] = [];
    const authorize = () => new Promise<boolean>((resolve) => void asked.push(resolve));
    const status = keep.statusHandler({ authorize, maxViewers: 1 });
    let closed = 0;
    const { url } = await serveHttp2((req, res) => {
      res.on('close', () => (closed += 1));
      void status(req, res);
    });
    const session = connect(url);
    const request = { ':path': '/status', accept: 'text/event-stream' };
    const leaver = session.request(request);
    await until('the first is asked about', () => asked.length === 1);
    leaver.close();
    await until('it has left', () => closed === 1);
    asked[0]?.(true);
    const viewer = session.request(request);
    await until('the second is asked about', () => asked.length === 2);
    asked[1]?.(true);
    const [head] = (await once(viewer, 'response')) as [IncomingHttpHeaders];
    expect(head[':status']).toBe(200);
    session.destroy();
  });

  it('end when the instance closes, after a last one that shows it', async () => {
    const bench = await open();
    const viewer = await view(bench);
    await viewer.sees('data: {');
    const closed = bench.keep.close();
    await viewer.sees('"closing"');
    expect((await viewer.over()).whole).toBe(true);
    await closed;
  });

  it('are not streams of the app, even behind a guard and an observer of all routes', async () => {
    const { keep, recorded } = createInMemoryInstance();
    const app = express();
    app.use(keep.observe());
    app.use(keep.guard());
    app.get('/status', keep.statusHandler({ authorize: () => true }));
    const server = await serve(app);
    const viewer = await openClient(server, '/status', {
      headers: { accept: 'text/event-stream' },
    });
    await viewer.sees('"total":0');
    expect(viewer.reply?.headers).not.toHaveProperty('x-stream-id');
    viewer.fin();
    await keep.flush();
    expect([recorded.starts, recorded.dues, recorded.saves]).toEqual([0, 0, []]);
  });
});

describe('the handler under', () => {
  it.each<[string, () => typeof express]>([
    ['Express 4', () => express4 as unknown as typeof express],
    ['Express 5', () => express],
  ])('%s answers on a route and on a mounted path', async (_, make) => {
    const { keep } = createInMemoryInstance();
    const app = make()();
    const status = keep.statusHandler({ authorize: () => true });
    app.get('/one', status);
    app.use('/mounted', status);
    const { url } = await serve(app);
    for (const path of [
      '/one',
      '/mounted',
      '/mounted/',
      '/mounted/README.md',
      '/one?runbook=README',
    ])
      expect((await fetch(`${url}${path}`)).status, path).toBe(200);
  });

  it('node:http answers without a router', async () => {
    const { keep } = createInMemoryInstance();
    const status = keep.statusHandler({ authorize: () => true });
    const { url } = await serve((req, res) => void status(req, res));
    expect(await (await fetch(url, { headers: JSON_ONLY })).json()).toHaveProperty('health');
    expect((await fetch(`${url}/README.md`)).status).toBe(200);
  });
});
