// One app and its clients in one process, on the packages that import.mjs or require.cjs loads: an answer that is
// completed, one whose client leaves, one that is stopped. Prints what database, Prometheus and SDK know of them.
import { EventEmitter, once } from 'node:events';
import { leave } from './leave.mjs';
import { storedRows, versions } from './report.mjs';

export async function run({ express, pg, lastchunk, postgres, prometheus, spans }) {
  const connectionString = process.env.DATABASE_URL;
  const metrics = prometheus();
  const keep = lastchunk({
    // Whatever is on stderr fails the run.
    logger: false,
    store: postgres({ connectionString, migrate: true }),
    journal: process.env.JOURNAL,
    metrics,
  });
  const gates = new EventEmitter();
  const app = express();
  app.use(keep.observe());
  const message = (req) => ({ conversationId: req.params.id });
  app.post('/chat/:id', keep.guard({ message }), async (req, res) => {
    res.setHeader('Content-Type', 'text/event-stream');
    res.write('data: {"text":"one"}\n\n');
    const { signal } = keep.stream(res);
    if (req.query.waits !== undefined) {
      await once(gates, req.params.id, { signal }).catch(() => undefined);
    }
    if (signal.aborted) return res.end();
    res.write('data: {"text":" two"}\n\n');
    res.end('data: [DONE]\n\n');
  });
  app.delete('/streams/:streamId', keep.stopHandler({ authorize: () => true }));
  app.get('/metrics', metrics.handler());
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${server.address().port}`;
  const ask = (path, init) => fetch(url + path, { method: 'POST', ...init });

  const seen = await (await ask('/chat/1-completed')).text();

  await leave(server, '/chat/2-left?waits');
  gates.emit('2-left');

  const stopped = await ask('/chat/3-stopped?waits');
  const stop = `/streams/${stopped.headers.get('x-stream-id')}`;
  const { status: stopStatus } = await ask(stop, { method: 'DELETE' });
  await stopped.text().catch(() => undefined);

  await keep.flush();
  const scraped = await (await fetch(`${url}/metrics`)).text();
  server.close();
  server.closeAllConnections();
  await keep.close();
  const rows = await storedRows(pg, connectionString);
  const report = { seen, stopStatus, scraped, rows, versions: versions(), spans: spans?.() };
  process.stdout.write(JSON.stringify(report), () => process.exit(0));
}
