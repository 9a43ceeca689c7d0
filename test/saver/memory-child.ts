/**
 * An app whose heap is small for what it answers: whoever asks gets as much text as the path says, with respect for
 * backpressure. It tells its parent where it listens and each result of a save; told to close, it says what came of it.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { lastchunk } from '../../src/index.ts';
import { postgres } from '../../src/postgres/index.ts';

const { DATABASE_URL: connectionString, JOURNAL: journal = '' } = process.env;

/** One chunk; an answer is made of these. */
const CHUNK = 'lorem ipsum dolor sit amet, '.repeat(600);

const keep = lastchunk({
  store: postgres({ connectionString, migrate: true }),
  journal,
  observer: { onSave: ({ result }) => void process.send?.({ result }) },
});
const guard = keep.guard(
  {
    maxBytes: 32 * 1_048_576,
    format: 'text',
    message: (req) => ({ conversationId: req.url?.slice(1) ?? '' }),
  },
  async (req, res) => {
    const [, bytes = '0'] = /-(\d+)$/.exec(req.url ?? '') ?? [];
    res.setHeader('content-type', 'text/plain');
    for (let left = Number(bytes); left > 0; left -= CHUNK.length) {
      if (!res.write(CHUNK.slice(0, left))) await once(res, 'drain');
    }
    res.end();
  },
);
const server = createServer((req, res) => void guard(req, res));
server.listen(0, '127.0.0.1', () => {
  // A TCP server that listens has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  process.send?.({ port });
});
process.once('message', () => {
  server.close();
  void keep.close({ deadlineMs: 60_000 }).then((closed) => {
    process.send?.({ closed }, () => process.exit(0));
  });
});
process.once('disconnect', () => process.exit(0));
