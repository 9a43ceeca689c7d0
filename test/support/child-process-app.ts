/**
 * An app like the one in the README, in a process that can be killed. Arguments: the database's URL and the journal's path. Prints its own
 * URL. Every fourth conversation ends; the others never do.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express from 'express';
import { lastchunk } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';
import { chatChunk } from './frames.ts';

const [connectionString = '', journal = ''] = process.argv.slice(2);
const keep = lastchunk({ store: postgres({ connectionString, migrate: true }), journal });
const app = express();
const guard = keep.guard({ message: (req) => ({ conversationId: req.params['id'] }) });
app.post('/chat/:id', guard, async (req, res) => {
  const id = String(req.params['id']);
  res.type('text/event-stream');
  for (let token = 0; Number(id) % 4 !== 0 || token < 20; token += 1) {
    res.write(chatChunk({ content: `token ${id}.${token} ` }));
    // Several tokens in one tick, like the deltas of a model.
    if (token % 5 === 4) await delay(1);
  }
  res.end(chatChunk({}, 'stop'));
});
const server = app.listen(0, 'localhost', () => {
  // A TCP server that listens has an address object.
  process.stdout.write(`http://localhost:${(server.address() as AddressInfo).port}\n`);
});
