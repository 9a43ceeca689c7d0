/** Two workers of `node:cluster` on one port, one journal directory; the primary asks twenty times and counts. */
import cluster from 'node:cluster';
import { appendFile, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { lastchunk } from '../../src/index.ts';

const STREAMS = 20;

if (cluster.isPrimary) await lead();
else serve(process.env['SHARED'] ?? '');

async function lead(): Promise<void> {
  const shared = await mkdtemp(join(tmpdir(), 'lastchunk-cluster-'));
  const ports: number[] = [];
  const ready = new Promise<void>((resolve) => {
    cluster.on('message', (_worker, port: number) => {
      if (ports.push(port) === 2) resolve();
    });
  });
  for (let i = 0; i < 2; i += 1) cluster.fork({ SHARED: shared });
  await ready;
  const answers = await Promise.all(
    Array.from({ length: STREAMS }, async (_, i) => {
      const answer = await fetch(`http://localhost:${ports[0]}/chat/${i}`);
      return answer.text();
    }),
  );
  const kept = (await readFile(join(shared, 'kept'), 'utf8')).trim().split('\n');
  const journals = await readdir(join(shared, 'journal'));
  const homes = journals.filter((name) => name !== '.gitignore' && !name.startsWith('refused'));
  process.send?.({
    workers: Object.keys(cluster.workers ?? {}).length,
    seen: answers.filter((body) => body.includes('answer')).length,
    kept: new Set(kept).size,
    journals: homes.length,
  });
  for (const worker of Object.values(cluster.workers ?? {})) worker?.kill('SIGKILL');
  await rm(shared, { recursive: true, force: true });
  process.disconnect();
}

function serve(shared: string): void {
  const keep = lastchunk({
    journal: join(shared, 'journal'),
    store: {
      save: (messages) =>
        appendFile(join(shared, 'kept'), messages.map(({ text }) => `${text}\n`).join('')),
      close: () => Promise.resolve(),
    },
  });
  const app = express();
  app.get('/chat/:id', keep.guard(), (req, res) => {
    res.type('text/event-stream');
    res.write(`data: ${JSON.stringify({ content: `answer ${req.params.id}` })}\n\n`);
    res.end('data: [DONE]\n\n');
  });
  const server = app.listen(0, () => {
    const address = server.address();
    if (typeof address === 'object') process.send?.(address?.port);
  });
}
