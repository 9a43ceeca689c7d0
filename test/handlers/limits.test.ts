/** What docs/compatibility.md says of limits, one test for each: a limit that is gone fails here and leaves the page. */
import compression from 'compression';
import express, { type Response } from 'express';
import { expect, it } from 'vitest';
import type { GuardOptions } from '../../src/index.ts';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import { serve } from '../support/test-server.ts';
import { createControllableUpstream } from '../support/controllable-upstream.ts';
import { turns, until } from '../support/until.ts';
import { openClient } from '../support/http-client.ts';
import type { LIMITS, NOTES } from './limits.ts';

const EVENTS = 'text/event-stream';

/** How each is shown. */
const SHOWN: Readonly<Record<keyof typeof NOTES | keyof typeof LIMITS, () => Promise<void>>> = {
  bodyParser: async () => {
    const events: string[] = [];
    const app = express();
    app.post('/', express.json(), async (req, res) => {
      req.on('close', () => events.push('the request closed'));
      res.write('one');
      await until('the request closes', () => events.length > 0);
      events.push('the handler goes on');
      res.end(' two');
    });
    const headers = { 'content-type': 'application/json' };
    const client = await openClient(await serve(app), '/', { method: 'POST', headers, body: '{}' });
    expect(await client.over()).toMatchObject({ whole: true, body: Buffer.from('one two') });
    expect(events).toEqual(['the request closed', 'the handler goes on']);
  },
  wrongOrder: async () => {
    const { instance, upstream, client } = await open((app, guard) =>
      app.use(guard, compression()),
    );
    upstream.push('one');
    upstream.end();
    await client.over();
    expect(await instance.recorded.ended()).toMatchObject({ outcome: 'completed', save: 'saved' });
    expect(instance.store.row).toMatchObject({ text: 'one', complete: true });
    expect(instance.logbook.lines.map(({ text }) => text)).toContainEqual(
      expect.stringContaining('compression() must stand before'),
    );
  },
  earlyListener: async () => {
    const told: string[] = [];
    const { instance, upstream, client } = await open((app, guard) => {
      app.use((_req, res, next) => {
        res.on('close', () => told.push('before'));
        next();
      });
      app.use(guard);
      app.use((_req, res, next) => {
        res.on('close', () => told.push('after'));
        next();
      });
    });
    upstream.push('one');
    await client.sees('one');
    client.rst();
    await until('the early listener is told', () => told.length > 0);
    await turns();
    expect(told).toEqual(['before']);
    upstream.end();
    await instance.recorded.ended();
    await until('so is the late one', () => told.length > 1);
  },
  plainLoop: async () => {
    const { keep, store, recorded } = createInMemoryInstance();
    const upstream = createControllableUpstream();
    let ended = false;
    const app = express();
    const guard = keep.guard({ policy: { disconnected: 'keep' } });
    app.get('/', guard, async (_req, res) => {
      res.type(EVENTS);
      for await (const text of upstream) res.write(frame(text));
      ended = !res.writableEnded;
      res.end();
    });
    const client = await openClient(await serve(app), '/');
    upstream.push('one');
    await client.sees('one');
    client.rst();
    expect(await recorded.ended()).toMatchObject({ outcome: 'disconnected', side: 'client' });
    upstream.push(' two');
    upstream.end();
    await until('the loop has come to its end', () => ended);
    expect(store.row).toMatchObject({ text: 'one', complete: false });
  },
  plainHead: async () => {
    const headersOf = async (options: GuardOptions) => {
      const { keep, store } = createInMemoryInstance();
      const app = express();
      app.get('/', keep.guard(options), (_req, res) => {
        res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).write('one');
        res.end(' two');
      });
      const { headers } = await (await openClient(await serve(app), '/')).over();
      await until('it is saved', () => store.rows.size === 1);
      expect(store.row.text).toBe('one two');
      return headers;
    };
    expect(await headersOf({})).not.toHaveProperty('x-stream-id');
    expect(await headersOf({ stream: true })).toHaveProperty('x-stream-id');
  },
  json: async () => {
    const { instance, upstream, client } = await open(
      (app, guard) => app.use(guard),
      'application/json',
    );
    upstream.push('one');
    upstream.end();
    expect(await client.over()).toMatchObject({ whole: true });
    await turns();
    expect([instance.recorded.starts, instance.store.asked]).toEqual([0, []]);
  },
  rawWrite: async () => {
    const instance = createInMemoryInstance();
    const app = express();
    app.get('/', instance.keep.guard(), (_req, res: Response) => {
      res.type(EVENTS).set('Connection', 'close').removeHeader('Transfer-Encoding');
      res.write(frame('one'));
      res.socket?.write(frame('beside it'));
      res.end();
    });
    const client = await openClient(await serve(app), '/');
    await client.over();
    expect(client.raw.toString()).toContain('beside it');
    await instance.recorded.ended();
    expect(instance.store.row.text).toBe('one');
  },
  upgrade: async () => {
    const instance = createInMemoryInstance();
    const app = express().use(instance.keep.observe(), instance.keep.guard());
    const testServer = await serve(app);
    testServer.server.on('upgrade', (_req, socket) => {
      socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\nhello');
    });
    const headers = { connection: 'Upgrade', upgrade: 'websocket' };
    const client = await openClient(testServer, '/', { headers });
    await until('the answer is there', () => client.raw.includes('hello'));
    expect([instance.recorded.starts, instance.store.asked]).toEqual([0, []]);
  },
};

it.each(Object.entries(SHOWN))('%s', async (_limit, expectIt) => {
  await expectIt();
});

/** A client in front of a route whose guard stands where `arrange` puts it. */
async function open(
  arrange: (app: express.Express, guard: express.RequestHandler) => unknown,
  type = EVENTS,
) {
  const instance = createInMemoryInstance();
  const upstream = createControllableUpstream();
  const app = express();
  arrange(app, instance.keep.guard());
  app.get('/', async (_req, res) => {
    res.type(type);
    for await (const text of upstream) res.write(frame(text));
    res.end('data: [DONE]\n\n');
  });
  const headers = { 'accept-encoding': 'gzip' };
  return { instance, upstream, client: await openClient(await serve(app), '/', { headers }) };
}

function frame(content: string): string {
  return `data: ${JSON.stringify({ content })}\n\n`;
}
