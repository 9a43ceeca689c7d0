/**
 * The app that is broken: one guarded chat route, a generator in the place of a model, metrics. Its environment says
 * where database and journal are; it tells its parent where it listens, and at the end what `close()` resolved to.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import express, { type Request } from 'express';
import { Registry } from 'prom-client';
import { lastchunk } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';
import { prometheus } from '../../src/telemetry/prometheus.ts';
import { chatChunk } from '../support/frames.ts';
import type { Ask } from './conversation.ts';

const { DATABASE_URL: connectionString, JOURNAL: journal, CLOSE_MS } = process.env;

const print =
  (level: string) =>
  (fields: object, message: string): void =>
    console.error(level, message, fields);
const metrics = prometheus({ registry: new Registry() });
const keep = lastchunk({
  store: postgres({ connectionString, migrate: true }),
  ...(journal !== undefined && { journal }),
  metrics,
  logger: { debug: () => {}, info: print('info'), warn: print('warn'), error: print('error') },
});

const app = express();
app.use(express.json({ limit: '1mb' }));
const message = (req: Request<{ id: string }>) => ({ conversationId: req.params.id });
app.post('/chat/:id', keep.guard({ message }), async (req, res) => {
  // Only our own clients ask.
  const { tokens, gapMs, atOnce } = req.body as Ask;
  res.type('text/event-stream');
  for (const content of tokens) {
    res.write(chatChunk({ content }));
    if (atOnce !== true) await sleep(gapMs);
  }
  res.write(chatChunk({}, 'stop'));
  res.end('data: [DONE]\n\n');
});
app.get('/metrics', metrics.handler());
app.use(keep.errorHandler());

const server = app.listen(0, '127.0.0.1', () => {
  // A TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${port}` });
});
// Once: the second signal ends the process by Node's default.
process.once('SIGTERM', () => {
  process.send?.({ closing: true });
  server.close();
  void keep.close({ deadlineMs: Number(CLOSE_MS) }).then((closed) => {
    process.send?.({ closed }, () => process.exit(0));
  });
});
// Without the suite there is nobody to serve.
process.once('disconnect', () => process.exit(0));
