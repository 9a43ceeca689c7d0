/** Who ended it, and how: each cause over plain sockets and TLS, observed and guarded. */
import type { ServerResponse } from 'node:http';
import { Readable, pipeline } from 'node:stream';
import express from 'express';
import express4 from 'express4';
import { describe, expect, it } from 'vitest';
import type { Outcome, Side } from '../../../src/core/message.ts';
import type { GuardOptions } from '../../../src/index.ts';
import { UPSTREAM_ERRORS } from '../../support/errors.ts';
import { createInMemoryInstance } from '../../support/in-memory-instance.ts';
import { serve, type TestServer, type Transport } from '../../support/test-server.ts';
import { createGate } from '../../support/controllable-upstream.ts';
import { until } from '../../support/until.ts';
import { request, openClient, type HttpClient } from '../../support/http-client.ts';

interface Cause {
  readonly name: string;
  readonly outcome: Outcome;
  readonly side: Side;
  /** What the handler does after its first frame; it may throw. */
  readonly server?: (res: ServerResponse, testServer: TestServer) => unknown;
  /** What the client does once it has seen what it waits for. */
  readonly client?: (httpClient: HttpClient) => void;
  /** What the client waits for. */
  readonly sees?: string;
}

type Layer = 'observe' | 'guard';

const ours = new Error('a mistake of ours');

const CAUSES: readonly Cause[] = [
  {
    name: 'a normal end',
    outcome: 'completed',
    side: 'server',
    server: (res) => res.end('data: two\n\n'),
  },
  {
    name: 'a client that leaves at the terminal frame',
    outcome: 'completed',
    side: 'server',
    server: (res) => res.write('data: [DONE]\n\n'),
    sees: '[DONE]',
    client: (httpClient) => httpClient.fin(),
  },
  {
    name: "a client's FIN",
    outcome: 'disconnected',
    side: 'client',
    client: (httpClient) => httpClient.fin(),
  },
  {
    name: "a client's RST",
    outcome: 'disconnected',
    side: 'client',
    client: (httpClient) => httpClient.rst(),
  },
  {
    name: "a client's half-close",
    outcome: 'disconnected',
    side: 'client',
    client: (httpClient) => httpClient.halfClose(),
  },
  {
    name: 'res.destroy()',
    outcome: 'failed',
    side: 'server',
    server: (res) => res.destroy(),
  },
  {
    name: 'res.destroy(error)',
    outcome: 'failed',
    side: 'server',
    server: (res) => res.destroy(ours),
  },
  {
    name: 'socket.destroy()',
    outcome: 'failed',
    side: 'server',
    server: (res) => res.socket?.destroy(),
  },
  {
    name: 'a pipeline whose source fails',
    outcome: 'failed',
    side: 'server',
    server: (res) => pipeline(failing(ours), res, () => undefined),
  },
  {
    name: 'a throw, met by finalhandler',
    outcome: 'failed',
    side: 'server',
    server: () => {
      throw ours;
    },
  },
  {
    name: 'closeAllConnections() of a server that closes',
    outcome: 'interrupted',
    side: 'server',
    server: (_, { server }) => {
      server.close();
      server.closeAllConnections();
    },
  },
  {
    name: 'a socket timeout',
    outcome: 'timed-out',
    side: 'server',
    server: (res) => res.socket?.setTimeout(20),
  },
  {
    name: "the server's timeout",
    outcome: 'timed-out',
    side: 'server',
    server: (res, { server }) => {
      server.setTimeout(20);
      // A server's timeout counts for connections to come; this is what it does to each.
      res.socket?.setTimeout(server.timeout);
    },
  },
  ...UPSTREAM_ERRORS.flatMap(({ name, error, outcome }): Cause[] => [
    {
      name: `res.destroy(error): ${name}`,
      outcome,
      side: 'upstream',
      server: (res) => res.destroy(error),
    },
    {
      name: `a pipeline whose source fails: ${name}`,
      outcome,
      side: 'upstream',
      server: (res) => pipeline(failing(error), res, () => undefined),
    },
  ]),
];

describe.each<Transport>(['http', 'https'])('over %s', (transport) => {
  describe.each<Layer>(['observe', 'guard'])('through %s', (layer) => {
    it.each(CAUSES)('$name is $outcome by the $side', async (cause) => {
      const { instance, httpClient, go } = await open(cause, layer, transport);
      await httpClient.sees('data: one\n\n');
      go.open();
      if (cause.sees !== undefined) await httpClient.sees(cause.sees);
      cause.client?.(httpClient);
      const ended = await instance.recorded.ended();
      expect(ended).toMatchObject({
        outcome: cause.outcome,
        side: cause.side,
        save: layer === 'guard' ? 'saved' : undefined,
      });
      const row = {
        text: expect.stringMatching(/^one/),
        outcome: cause.outcome,
        side: cause.side,
        complete: cause.outcome === 'completed',
      };
      expect([...instance.store.rows.values()]).toMatchObject(layer === 'guard' ? [row] : []);
      expect(instance.recorded.starts).toBe(1);
      expect(instance.recorded.ends).toHaveLength(1);
      expect(instance.recorded.internalErrors).toEqual([]);
    });
  });
});

describe('a second request on a connection, whose response waits for the first,', () => {
  it.each<Layer>(['observe', 'guard'])('ends when the client leaves, through %s', async (layer) => {
    const instance = createInMemoryInstance();
    const app = express();
    app.get('/:name', ...middleware(instance.keep, layer), (req, res) => {
      res.type('text/plain').write(req.params['name']);
    });
    const testServer = await serve(app);
    const httpClient = await openClient(testServer, '/first');
    httpClient.send(request('/second'));
    await httpClient.sees('first');
    await until('both have begun', () => instance.recorded.starts === 2);
    httpClient.fin();
    const ends = [await instance.recorded.ended(1), await instance.recorded.ended(2)];
    expect(ends).toMatchObject([
      { outcome: 'disconnected', side: 'client' },
      { outcome: 'disconnected', side: 'client' },
    ]);
    const texts = [...instance.store.rows.values()].map(({ text }) => text);
    expect(texts.toSorted()).toEqual(layer === 'guard' ? ['first', 'second'] : []);
  });
});

describe('pipelined requests whose client leaves', () => {
  it('are all finished', async () => {
    const instance = createInMemoryInstance();
    const go = createGate();
    const app = express();
    const message: GuardOptions['message'] = (req) => ({ conversationId: req.params['name'] });
    app.get('/:name', instance.keep.guard({ message }), (req, res) => {
      res.type('text/plain').write(`${req.params['name']}, `);
      void go.promise.then(() => {
        res.write('and more, ');
        setImmediate(() => res.end('whole'));
      });
    });
    const testServer = await serve(app);
    const httpClient = await openClient(testServer, '/first');
    httpClient.send(request('/second') + request('/third'));
    await httpClient.sees('first');
    await until('all have begun', () => instance.recorded.starts === 3);
    httpClient.rst();
    await until('the server has met the close', () => testServer.closedSockets === 1);
    go.open();
    await instance.recorded.ended(3);
    await until('all are saved', () => instance.store.rows.size === 3);
    const rows = [...instance.store.rows.values()].map(
      ({ conversationId, text, complete, outcome }) => [conversationId, text, complete, outcome],
    );
    expect(rows.toSorted(([a], [b]) => String(a).localeCompare(String(b)))).toEqual(
      ['first', 'second', 'third'].map((name) => [
        name,
        `${name}, and more, whole`,
        true,
        'disconnected',
      ]),
    );
  });
});

it.each<Layer>(['observe', 'guard'])(
  'a destroy() that was read from the response before %s is noticed too',
  async (layer) => {
    const instance = createInMemoryInstance();
    const app = express();
    let destroy: ((error: Error) => unknown) | undefined;
    app.use((_, res, next) => {
      destroy = res.destroy.bind(res);
      next();
    });
    app.get('/', ...middleware(instance.keep, layer), (_, res) => {
      res.type('text/plain').write('one');
      setImmediate(() => destroy?.(UPSTREAM_ERRORS[0].error));
    });
    await openClient(await serve(app), '/');
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'failed', side: 'upstream' });
  },
);

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
] as const)('a handler of %s that', (name, framework) => {
  const failures = {
    throws: () => {
      throw ours;
    },
    rejects: () => Promise.reject(ours),
    'calls next(err)': (next: (error: unknown) => void) => next(ours),
  };

  it.each(Object.entries(failures))('%s after the headers has failed', async (_, fail) => {
    const instance = createInMemoryInstance();
    const app = framework().set('env', 'test');
    app.get(
      '/',
      instance.keep.guard({}, async (_req, res, next) => {
        res.setHeader('content-type', 'text/plain');
        res.write('one');
        await until('the client has it', () => seen);
        return fail(next);
      }),
    );
    let seen = false;
    const testServer = await serve(app);
    const httpClient = await openClient(testServer, '/');
    await httpClient.sees('one');
    seen = true;
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'failed', side: 'server' });
    expect((await httpClient.over()).whole).toBe(false);
    expect(instance.store.row).toMatchObject({ text: 'one', complete: false, outcome: 'failed' });
    expect(name).toContain('Express');
  });

  it.each(UPSTREAM_ERRORS)(
    'fails by its upstream ($name) is $outcome',
    async ({ error, outcome }) => {
      const instance = createInMemoryInstance();
      const app = framework().set('env', 'test');
      app.get('/', instance.keep.guard({}), (_, res, next) => {
        res.type('text/plain').write('one');
        setImmediate(() => next(error));
      });
      app.use(instance.keep.errorHandler());
      const testServer = await serve(app);
      await openClient(testServer, '/');
      expect(await instance.recorded.ended()).toMatchObject({ outcome, side: 'upstream' });
      expect(instance.store.row).toMatchObject({ text: 'one', complete: false });
    },
  );
});

/** An app whose handler writes a frame, waits for `go`, and does what the cause says. */
async function open(cause: Cause, layer: Layer, transport: Transport) {
  const instance = createInMemoryInstance();
  const go = createGate();
  const app = express().set('env', 'test');
  app.get('/', ...middleware(instance.keep, layer), async (_, res) => {
    res.type('text/event-stream').write('data: one\n\n');
    await go.promise;
    await cause.server?.(res, testServer);
  });
  const testServer: TestServer = await serve(app, transport);
  const httpClient = await openClient(testServer, '/');
  return { instance, go, httpClient };
}

function middleware(keep: ReturnType<typeof createInMemoryInstance>['keep'], layer: Layer) {
  return layer === 'observe'
    ? [keep.observe()]
    : [keep.guard({ policy: { disconnected: 'keep' } })];
}

function failing(error: Error): Readable {
  return new Readable({
    read() {
      this.destroy(error);
    },
  });
}
