/**
 * One instance of an app without a disk, in a process that can be killed and stopped. Arguments: the database's URL; the port of the Redis
 * that is the relay, or '' for a relay in the database; `ahead` if bytes must not be sent before the relay has them. Prints its own URL.
 * `POST /chat/:id` answers in the format of OpenAI, also below the path that `openai` appends; `POST /chat` in that of the AI SDK;
 * `POST /events/:id` with frames for an `EventSource`. Every fourth conversation ends; the others end after `POST /end/:id`.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express, { type Request } from 'express';
import { Redis } from 'ioredis';
import { lastchunk } from '../../src/index.ts';
import { postgres, postgresRelay } from '../../src/postgres/index.ts';
import { redisRelay } from '../../src/redis/index.ts';
import { chatChunk, sse } from './frames.ts';

const [connectionString = '', redisPort = '', ahead] = process.argv.slice(2);
const engine =
  redisPort === ''
    ? postgresRelay({ connectionString })
    : redisRelay({ client: new Redis({ port: Number(redisPort), lazyConnect: true }) });
const keep = lastchunk({
  store: postgres({ connectionString }),
  journal: false,
  relay: { engine, leaseMs: 2_000, ahead: ahead === 'ahead' },
});
const DONE = 'data: [DONE]\n\n';
const ending = new Set<string>();

async function* tokensOf(id: string): AsyncGenerator<string> {
  const count = Number(id) % 4 === 0 ? 60 : Number.POSITIVE_INFINITY;
  for (let token = 0; token < count && !ending.has(id); token += 1) {
    yield `töken ${id}.${token} `;
    await delay(20);
  }
}

type ById = Request<{ id: string }>;
type ChatRequest = Request<object, unknown, { id: string }>;
const authorize = (): boolean => true;
const message = (req: ById) => ({ conversationId: req.params.id });
const app = express();

app.post(
  ['/chat/:id', '/chat/:id/chat/completions'],
  keep.guard<ById>({ message }),
  async (req: ById, res) => {
    res.type('text/event-stream');
    for await (const content of tokensOf(req.params.id)) res.write(chatChunk({ content }));
    res.end(`${chatChunk({}, 'stop')}${DONE}`);
  },
);
app.post('/events/:id', keep.guard<ById>({ message, ids: true }), async (req: ById, res) => {
  res.type('text/event-stream');
  for await (const token of tokensOf(req.params.id)) res.write(sse(token));
  res.end(DONE);
});
app.post(
  '/chat',
  express.json(),
  keep.guard<ChatRequest>({ message: (req) => ({ conversationId: req.body.id }) }),
  async (req: ChatRequest, res) => {
    // Imported here because it loads slowly and most tests do not use it.
    const { createUIMessageStream, pipeUIMessageStreamToResponse } = await import('ai');
    const stream = createUIMessageStream({
      execute: async ({ writer }) => {
        writer.write({ type: 'start' });
        writer.write({ type: 'text-start', id: 'text' });
        for await (const delta of tokensOf(req.body.id)) {
          writer.write({ type: 'text-delta', id: 'text', delta });
        }
        writer.write({ type: 'text-end', id: 'text' });
        writer.write({ type: 'finish' });
      },
    });
    await pipeUIMessageStreamToResponse({ response: res, stream });
  },
);
app.post('/end/:id', (req, res) => {
  ending.add(req.params.id);
  res.end();
});
app.get(
  '/chat/:id/stream',
  keep.resumeHandler<ById>({ authorize, find: (req) => ({ conversationId: req.params.id }) }),
);
app.get('/streams/:streamId', keep.resumeHandler({ authorize }));
app.delete('/streams/:streamId', keep.stopHandler({ authorize }));
const server = app.listen(0, 'localhost', () => {
  // A TCP server that listens has an address object.
  process.stdout.write(`http://localhost:${(server.address() as AddressInfo).port}\n`);
});
