/** What is Fastify's own: the plugin, its options, routes that are only observed, and replies that are hijacked. */
import fastify from 'fastify';
import { expect, it, onTestFinished } from 'vitest';
import { fastifyLastchunk } from '../../src/frameworks/fastify.ts';
import { lastchunk } from '../../src/index.ts';
import { createLogbook } from '../support/logbook.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createRecordingObserver } from '../support/recording-observer.ts';

async function open() {
  const store = createMemoryStore();
  const recorded = createRecordingObserver();
  const { logger, lines } = createLogbook();
  const keep = lastchunk({ store, journal: false, observer: recorded.observer, logger });
  const app = fastify();
  await app.register(fastifyLastchunk, { keep });
  onTestFinished(async () => {
    await app.close();
    await keep.close({ deadlineMs: 1000 });
  });
  const ask = async (path: string): Promise<string> => {
    if (app.server.address() === null) await app.listen({ port: 0, host: 'localhost' });
    const address = app.server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    return (await fetch(`http://localhost:${port}${path}`)).text();
  };
  return { store, recorded, lines, keep, app, ask };
}

it('observes routes without options, under the pattern of the route', async () => {
  const { store, recorded, app, ask } = await open();
  app.get('/plain/:id', (_request, reply) => reply.type('text/event-stream').send('data: hi\n\n'));
  expect(await ask('/plain/1')).toBe('data: hi\n\n');
  expect(await recorded.ended()).toMatchObject({ route: '/plain/:id', outcome: 'completed' });
  expect(store.asked).toEqual([]);
});

it('guards a reply that is hijacked and written by hand, once, also if Fastify adds HEAD', async () => {
  const { store, recorded, lines, app, ask } = await open();
  app.get('/chat/:id', { config: { lastchunk: {} } as object }, (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
    reply.raw.write('data: hi\n\n');
    reply.raw.end('data: [DONE]\n\n');
  });
  await ask('/chat/1');
  expect(await recorded.ended()).toMatchObject({ route: '/chat/:id', outcome: 'completed' });
  expect(store.row.text).toBe('hi');
  expect(lines.filter(({ level }) => level === 'warn')).toEqual([]);
});

it('names the invalid option when the route is created', async () => {
  const { app } = await open();
  const config = { lastchunk: { maxBytes: -1 } } as object;
  expect(() => app.get('/chat', { config }, () => 'x')).toThrow(/`maxBytes`/);
});

it('requires `keep`', async () => {
  const app = fastify();
  // As JavaScript would call it.
  const nothing = {} as { keep: never };
  await expect(app.register(fastifyLastchunk, nothing)).rejects.toThrow(/`keep`/);
});
