/**
 * An app whose answers leave memory early, and continue after their finish marker. Arguments: the database's URL and the journal's path.
 * Prints its own URL. `POST /chat/:id` writes two MiB and a finish marker, `POST /go` writes more to all answers.
 */
import type { Response } from 'express';
import express from 'express';
import type { AddressInfo } from 'node:net';
import { lastchunk } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';
import { chatChunk } from '../support/frames.ts';

const PIECES = 64;
const PIECE_BYTES = 32 * 1024;

const [connectionString = '', journal = ''] = process.argv.slice(2);
const keep = lastchunk({
  store: postgres({ connectionString, migrate: true }),
  journal,
  maxLiveBytes: 1024 * 1024,
});
const answers: Response[] = [];
const app = express();
const guard = keep.guard({ message: (req) => ({ conversationId: req.params['id'] }) });
app.post('/chat/:id', guard, (_, res) => {
  res.type('text/event-stream');
  for (let at = 0; at < PIECES; at += 1) {
    res.write(chatChunk({ content: `${at} `.padEnd(PIECE_BYTES, 'lorem ipsum ') }));
  }
  res.write(chatChunk({}, 'stop'));
  answers.push(res);
});
app.post('/go', (_, res) => {
  for (const answer of answers) answer.write(chatChunk({ content: 'and more' }));
  res.json({ capture: keep.health().capture });
});
const server = app.listen(0, 'localhost', () => {
  // A TCP server that listens has an address object.
  process.stdout.write(`http://localhost:${(server.address() as AddressInfo).port}\n`);
});
