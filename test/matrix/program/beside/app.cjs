// A CommonJS app beside the tool that is named. It passes on what its model says, and prints where it listens and whose
// connection has closed. Ends as apps do, at SIGTERM: by itself, when nothing keeps it any more.
const { use, end } = require('./tools.cjs');
const express = require('express');
const { lastchunk } = require('lastchunk');
const { postgres } = require('lastchunk/postgres');

const { env } = process;
const keep = lastchunk({
  store: postgres({ connectionString: env.DATABASE_URL, migrate: true }),
  journal: env.JOURNAL,
  conversationIdInSpans: true,
});
const app = express();
app.use(keep.observe());
const message = (req) => ({ conversationId: req.params.id });
const chat = async (req, res) => {
  const { id } = req.params;
  req.socket.once('close', () => console.log(`closed ${id}`));
  const { signal } = keep.stream(res);
  const said = await fetch(`${env.MODEL}/${id}`, { method: 'POST', signal });
  res.setHeader('Content-Type', 'text/event-stream');
  for await (const piece of said.body) res.write(piece);
  res.end();
};
app.post('/chat/:id', keep.guard({ message }), chat);
app.post('/kept/:id', keep.guard({ message, policy: { disconnected: 'keep' } }), chat);
app.use(keep.errorHandler());
use?.(keep, app);
// Express takes it for an error handler by its four arguments.
app.use((_error, _req, res, _next) => res.destroy());
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
const close = async () => {
  server.close();
  server.closeAllConnections();
  await keep.close();
  await end?.();
};
process.once('SIGTERM', () => void close());
