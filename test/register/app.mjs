// The app that the tests of lastchunk/register start: a chat whose answers are whole when the test says so.
import { EventEmitter, once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { get } from 'node:http';
import { createRequire } from 'node:module';
import express from 'express';
import { lastchunk } from 'lastchunk';
import { postgres } from 'lastchunk/postgres';

const { DATABASE_URL, DEADLINE_MS, SDK_LATE } = process.env;
const keep = lastchunk(
  DATABASE_URL === undefined
    ? { logger: false }
    : {
        // What it says on stderr is looked at: it is to be of the SDK only.
        logger: false,
        store: postgres({ connectionString: DATABASE_URL, migrate: true }),
        // Its own: an app that was killed leaves messages, and they belong to another test's database.
        journal: mkdtempSync('./journal-'),
      },
);
let sdk;
if (SDK_LATE === 'true') {
  const { NodeSDK } = createRequire(import.meta.url)('@opentelemetry/sdk-node');
  sdk = new NodeSDK();
  sdk.start();
}
const signals = new EventEmitter().setMaxListeners(0);

const app = express();
app.use(keep.observe());
const guard = keep.guard({ message: (req) => ({ conversationId: req.params.id }) });
app.post('/chat/:id', DATABASE_URL === undefined ? keep.observe() : guard, async (req, res) => {
  res.type('text/event-stream').write('data: {"text":"one"}\n\n');
  if (req.query.waits !== undefined) await once(signals, req.params.id);
  // The raw socket, which tells the truth while the guard does not.
  if (req.query.leaves !== undefined) await once(req.socket, 'close');
  res.write('data: {"text":" two"}\n\n');
  res.end('data: [DONE]\n\n');
});
// A model that says nothing, and is called off when nobody waits for its answer.
app.get('/model', () => undefined);
app.post('/ask/:id', keep.guard({ policy: { disconnected: 'keep' } }), (req, res) => {
  res.type('text/event-stream').write('data: {"text":"one"}\n\n');
  const { port } = server.address();
  const { signal } = keep.stream(res);
  get({ host: '127.0.0.1', port, path: '/model', signal }).on('error', () => res.end());
});
app.post('/go/:id', (req, res) => res.json(signals.emit(req.params.id)));
app.post('/shutdown-sdk', (_req, res) => sdk.shutdown().then(() => res.json(true)));
app.post('/end', (_req, res) => {
  res.on('close', () => {
    server.close();
    server.closeAllConnections();
  });
  res.json(true);
});
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
if (DEADLINE_MS !== undefined) {
  process.once('SIGTERM', () => {
    server.close();
    void keep.close({ deadlineMs: Number(DEADLINE_MS) }).then(() => process.exit(0));
  });
}
