/**
 * One instance of an app without a disk, in a process that can be killed and stopped. Arguments: the database's URL; the port of the Redis
 * that is the relay, or '' for a relay in the database; `ahead` if bytes must not be sent before the relay has them. Prints its own URL.
 * Every fourth conversation ends; the others never do.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express from 'express';
import { Redis } from 'ioredis';
import { lastchunk } from '../../src/index.ts';
import { postgres, postgresRelay } from '../../src/postgres/index.ts';
import { redisRelay } from '../../src/redis/index.ts';
import { chatChunk } from './frames.ts';

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
const authorize = (): boolean => true;
const app = express();
const guard = keep.guard({ message: (req) => ({ conversationId: req.params['id'] }) });
app.post('/chat/:id', guard, async (req, res) => {
  const id = String(req.params['id']);
  res.type('text/event-stream');
  for (let token = 0; Number(id) % 4 !== 0 || token < 60; token += 1) {
    res.write(chatChunk({ content: `töken ${id}.${token} ` }));
    await delay(20);
  }
  res.end(chatChunk({}, 'stop'));
});
app.get('/streams/:streamId', keep.resumeHandler({ authorize }));
app.delete('/streams/:streamId', keep.stopHandler({ authorize }));
const server = app.listen(0, 'localhost', () => {
  // A TCP server that listens has an address object.
  process.stdout.write(`http://localhost:${(server.address() as AddressInfo).port}\n`);
});
