/**
 * An app with a table of its own, in a process that can be killed. Arguments: the example, the database's URL (of SQLite the file)
 * and the journal's path. Prints its own URL. A conversation whose id begins with `long` goes on for ever.
 */
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import express from 'express';
import { lastchunk } from '../../src/index.ts';
import { chatChunk } from '../support/frames.ts';
import { openExample, openSqlite } from './stores.ts';

const [example = '', connectionString = '', journal = ''] = process.argv.slice(2);
const open = example === 'sqlite' ? openSqlite : openExample.bind(null, example);
const store = await open(connectionString);
const keep = lastchunk({ store, journal, logger: false });
const app = express();
const guard = keep.guard({
  message: (req) => ({ conversationId: req.params['id'] }),
  confirmTimeoutMs: 500,
});
app.post('/chat/:id', guard, async (req, res) => {
  const id = String(req.params['id']);
  res.type('text/event-stream');
  for (let token = 0; id.startsWith('long') || token < 20; token += 1) {
    res.write(chatChunk({ content: `${token} ` }));
    await delay(5);
  }
  res.write(chatChunk({}, 'stop'));
  res.end('data: [DONE]\n\n');
});
const server = app.listen(0, 'localhost', () => {
  // A TCP server that listens has an address object.
  process.stdout.write(`http://localhost:${(server.address() as AddressInfo).port}\n`);
});
