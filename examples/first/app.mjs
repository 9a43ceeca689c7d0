// app.mjs, after: npm install lastchunk @opentelemetry/api express pg prom-client
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { lastchunk } from 'lastchunk';
import { postgres } from 'lastchunk/postgres';
import { prometheus } from 'lastchunk/prometheus';

const metrics = prometheus();
const store = postgres({ connectionString: process.env.DATABASE_URL, migrate: true });
const keep = lastchunk({ store, metrics });
const message = (req) => ({ conversationId: req.params.id });

const app = express();
app.post('/chat/:id', keep.guard({ message }), async (req, res) => {
  res.type('text/event-stream');
  for (const token of ['The', ' last', ' chunk']) {
    res.write(`data: ${JSON.stringify({ text: token })}\n\n`);
    await sleep(200);
  }
  res.end('data: [DONE]\n\n');
});
// For your own network: let no proxy pass these two on.
app.get('/metrics', metrics.handler());
app.get('/health/saves', keep.healthHandler());
app.use(keep.errorHandler()); // after the routes

const server = app.listen(process.env.PORT ?? 3000, (error) => {
  if (error) throw error;
  console.log(`listening on http://localhost:${server.address().port}`);
});
process.once('SIGTERM', () => {
  server.close();
  void keep.close().then(() => process.exit(0));
});
