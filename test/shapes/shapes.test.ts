/**
 * Six shapes of app that people have: their clients are sent the same bytes as without lastchunk, the rows hold what was said, and
 * the metrics name the route.
 */
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { runPeer } from '../peers/run-peer.ts';
import { createInMemoryInstance } from '../support/in-memory-instance.ts';
import { parseScrape } from '../support/scrape.ts';
import { openClient } from '../support/http-client.ts';
import { serve } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { FEED, INITIALIZE, MCP, MCP_NEEDS, mcpApp } from './mcp.ts';
import { NEST } from './nest.ts';
import { NEXT } from './next.ts';
import { OLLAMA } from './ollama.ts';
import { REACT } from './react.ts';
import { canRun, type Shape } from './shape.ts';
import { YOGA } from './yoga.ts';

const SHAPES: Readonly<Record<string, Shape>> = {
  'Nest with @Sse()': NEST,
  'Next behind a custom server that compresses': NEXT,
  'a proxy to Ollama': OLLAMA,
  'an MCP server': MCP,
  'graphql-yoga': YOGA,
  'React on the server beside a chat': REACT,
};

function createMeasured() {
  const metrics = prometheus({ registry: new Registry() });
  const instance = createInMemoryInstance({ metrics });
  return { ...instance, scrape: async () => parseScrape(await metrics.registry.metrics()) };
}

/** What clients of the app see, bare or inside. */
function run({ app, asks, sees }: Shape, keep: Parameters<Shape['app']>[0]) {
  const peer = { peer: '', shows: '', app: () => app(keep), asks, sees };
  return runPeer(peer, (_req, _res, next) => next());
}

describe.each(Object.entries(SHAPES))('%s', (_name, shape) => {
  it('answers the same bytes as without a guard, has its rows, and is counted by its routes', async () => {
    if (!canRun(shape.needs)) return;
    const bare = await run(shape, undefined);
    for (const part of shape.sees) expect(bare()).toContain(part);
    const { keep, store, recorded, scrape } = createMeasured();
    const seen = await run(shape, keep);
    // Whether a connection is closed is known a turn later than what came over it.
    await expect.poll(seen, { timeout: 10_000 }).toBe(bare());

    const total = Object.values(shape.streams).reduce((sum, count) => sum + count, 0);
    await until('all streams have ended', () => recorded.ends.length >= total);
    await keep.flush();
    expect([...store.rows.values()]).toMatchObject(shape.rows);
    expect([...store.rows.values()].every(({ complete }) => complete)).toBe(true);
    expect(recorded.internalErrors).toEqual([]);
    const scraped = await scrape();
    const counts = Object.keys(shape.streams).map((route) => [
      route,
      scraped.sum('lastchunk_streams_ended_total', { route }),
    ]);
    expect(Object.fromEntries(counts)).toEqual(shape.streams);
    expect(scraped.sum('lastchunk_streams_ended_total')).toBe(total);
  });
});

describe('the endless event stream of an MCP server', () => {
  it('ends when its client leaves, who may reconnect', async () => {
    if (!canRun(MCP_NEEDS)) return;
    const { keep, recorded } = createMeasured();
    const server = await serve(await mcpApp(keep));
    const opened = async ({ path = '/', ...asking }: typeof FEED) => {
      const client = await openClient(server, path, asking);
      await until('the head is there', () => client.reply);
      return client;
    };
    await (await opened(INITIALIZE)).over();
    for (let visit = 1; visit <= 3; visit += 1) {
      const ended = recorded.ends.length;
      const feed = await opened(FEED);
      expect(feed.reply?.status).toBe(200);
      feed.rst();
      await until('its stream has ended', () => recorded.ends.length > ended);
    }
  });
});
