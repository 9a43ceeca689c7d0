/** An app in small: a guarded route, a store in memory, the store of PostgreSQL made and closed, a scrape. */
const { createServer } = require('node:http');
const client = require('prom-client');
const pg = require('pg');
const { lastchunk } = require('lastchunk');
const { postgres } = require('lastchunk/postgres');
const { prometheus } = require('lastchunk/prometheus');

const BODY = 'data: {"choices":[{"delta":{"content":"kept"}}]}\n\ndata: [DONE]\n\n';

/** Resolves to `kept`, or to what was wrong. */
async function run() {
  const saved = [];
  const store = { save: async (all) => void saved.push(...all), close: async () => undefined };
  const metrics = prometheus({ client, registry: new client.Registry() });
  const keep = lastchunk({ store, journal: false, metrics, logger: false });
  const message = () => ({ conversationId: 'c' });
  const guard = keep.guard({ route: '/chat', message }, (_req, res) => {
    res.setHeader('Content-Type', 'text/event-stream');
    res.end(BODY);
  });
  const server = createServer((req, res) => void guard(req, res));
  await postgres({ connectionString: 'postgres://127.0.0.1:1/none', pg }).close();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const body = await (await fetch(`http://127.0.0.1:${server.address().port}/chat`)).text();
  server.close();
  await keep.close();
  const scrape = await metrics.registry.metrics();
  const counted = scrape.includes('lastchunk_saves_total{route="/chat",result="saved"} 1');
  const texts = saved.map(({ text }) => text).join();
  return body === BODY && texts === 'kept' && counted
    ? 'kept'
    : `wrong: ${JSON.stringify({ body, texts, counted })}`;
}

module.exports = { run };
