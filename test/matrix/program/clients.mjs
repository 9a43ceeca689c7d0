// A chat whose handler uses a model client as its documentation says, in front of a provider that is no model: an answer
// that is completed, two whose readers leave, one that is stopped, one whose provider drops the connection. Prints what was
// stored.
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import express from 'express';
import { lastchunk } from 'lastchunk';
import { postgres } from 'lastchunk/postgres';
import pg from 'pg';
import { leave } from './leave.mjs';
import { storedRows, versions } from './report.mjs';

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
  // Whatever is on stderr fails the run.
  logger: false,
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
const ids = new Map();
const chat = (req, res) => {
  ids.set(req.params.id, keep.stream(res).id);
  return answer(`id ${req.params.id}`, res);
};
app.post('/chat/:id', keep.guard({ message }), chat);
app.post('/kept/:id', keep.guard({ message, policy: { disconnected: 'keep' } }), chat);
app.delete('/streams/:streamId', keep.stopHandler({ authorize: () => true }));
app.use(keep.errorHandler());
const server = createServer(app);
const url = await addressOf(server);

const seen = await (await ask('/chat/1-completed')).text();

await leave(server, '/chat/2-left');
gates.emit('2-left');

await leave(server, '/kept/3-kept');

await sees('one', await ask('/chat/4-stopped'), () =>
  fetch(`${url}/streams/${ids.get('4-stopped')}`, { method: 'DELETE' }),
);

await sees('one', await ask('/chat/5-cut'), () => gates.emit('5-cut', true));

await keep.close();
const rows = await storedRows(pg, connectionString);
process.stdout.write(JSON.stringify({ seen, rows, versions: versions() }), () => process.exit(0));

function ask(path) {
  return fetch(url + path, { method: 'POST' });
}

/** Reads until the text is there, calls `then`, and reads on to the end, however that comes. */
async function sees(text, response, then) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let read = '';
  while (!read.includes(text)) read += (await reader.read()).value;
  await then();
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
