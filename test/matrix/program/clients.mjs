// One chat route whose handler uses a model client as its documentation says, in front of a provider that is no model:
// an answer that is completed, one whose reader leaves, one whose provider drops the connection. Prints what was stored.
import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import express from 'express';
import { lastchunk } from 'lastchunk';
import { postgres } from 'lastchunk/postgres';
import pg from 'pg';

const frame = (data) => `data: ${JSON.stringify(data)}\n\n`;
const openai = {
  delta: (content) => frame({ choices: [{ index: 0, delta: { content }, finish_reason: null }] }),
  finish: `${frame({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })}data: [DONE]\n\n`,
};
const candidate = (rest) => frame({ candidates: [{ index: 0, ...rest }] });
const gemini = {
  delta: (text) => candidate({ content: { role: 'model', parts: [{ text }] } }),
  finish: candidate({ content: { role: 'model', parts: [{ text: '' }] }, finishReason: 'STOP' }),
};

/** By the name that the matrix has for it: how the provider speaks, and the handler. */
const CLIENTS = {
  'ai-ui': { voice: openai, make: aiSdk('pipeUIMessageStreamToResponse') },
  'ai-text': { voice: openai, make: aiSdk('pipeTextStreamToResponse') },
  genai: { voice: gemini, make: genai },
};

const { voice, make } = CLIENTS[process.argv[2]];
const connectionString = process.env.DATABASE_URL;
const keep = lastchunk({
  store: postgres({ connectionString, migrate: true }),
  journal: process.env.JOURNAL,
});
const gates = new EventEmitter();
const provider = createServer((req, res) => void provide(req, res));
const provide = async (req, res) => {
  let asked = '';
  for await (const piece of req) asked += piece;
  const id = /"id (?<id>[\w-]+)"/.exec(asked).groups.id;
  res.writeHead(200, { 'content-type': 'text/event-stream' }).write(voice.delta('one'));
  const [cut] = id === '1-completed' ? [] : await once(gates, id);
  if (cut) res.socket.destroy();
  else res.end(voice.delta(' two') + voice.finish);
};
const answer = await make(await addressOf(provider));

const app = express().set('env', 'test');
app.use(keep.observe());
const message = (req) => ({ conversationId: req.params.id });
app.post('/chat/:id', keep.guard({ message, idleTimeoutMs: 20_000 }), (req, res) =>
  answer(`id ${req.params.id}`, res),
);
app.use(keep.errorHandler());
const server = createServer(app);
const connections = new Set();
server.on('connection', (socket) => {
  connections.add(socket);
  socket.once('close', () => connections.delete(socket));
});
const url = await addressOf(server);

const seen = await (await ask('1-completed')).text();

const leave = new AbortController();
await sees('one', await ask('2-left', leave.signal));
leave.abort();
while (connections.size > 0) await new Promise((resolve) => setImmediate(resolve));
gates.emit('2-left');

const cut = await ask('3-cut');
await sees('one', cut, () => gates.emit('3-cut', true));

await keep.close();
const db = new pg.Client({ connectionString });
await db.connect();
const { rows } = await db.query(
  'SELECT conversation_id, content, outcome, complete FROM lastchunk_messages ORDER BY conversation_id',
);
await db.end();
process.stdout.write(JSON.stringify({ seen, rows, versions: versions() }), () => process.exit(0));

function ask(id, signal) {
  const headers = { connection: 'close' };
  return fetch(`${url}/chat/${id}`, { method: 'POST', headers, signal });
}

/** Reads until the text is there; with `then`, calls it and reads on to the end, however that comes. */
async function sees(text, response, then) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let read = '';
  while (!read.includes(text)) read += (await reader.read()).value;
  if (then === undefined) return;
  then();
  while (!(await reader.read().catch(() => ({ done: true }))).done);
}

function aiSdk(method) {
  return async (provides) => {
    const { streamText } = await import('ai');
    const { createOpenAI } = await import('@ai-sdk/openai');
    const model = createOpenAI({ baseURL: `${provides}/v1`, apiKey: 'none' }).chat('m');
    const onError = () => undefined;
    return (prompt, res) => streamText({ model, prompt, maxRetries: 0, onError })[method](res);
  };
}

async function genai(provides) {
  const { GoogleGenAI } = await import('@google/genai');
  const client = new GoogleGenAI({ apiKey: 'none', httpOptions: { baseUrl: provides } });
  return async (contents, res) => {
    const stream = await client.models.generateContentStream({ model: 'm', contents });
    res.type('text/event-stream');
    for await (const { candidates } of stream) res.write(frame({ candidates }));
    res.end();
  };
}

async function addressOf(listener) {
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return `http://127.0.0.1:${listener.address().port}`;
}

function versions() {
  const packages = JSON.parse(process.env.PACKAGES);
  const found = packages.map((name) => {
    const path = join(process.cwd(), 'node_modules', name, 'package.json');
    return [name, JSON.parse(readFileSync(path, 'utf8')).version];
  });
  return { node: process.versions.node, ...Object.fromEntries(found) };
}
