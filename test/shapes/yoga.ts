/**
 * graphql-yoga: a subscription over an event stream, and a query that is answered as JSON, behind one guard. The package depends on
 * others that need Node 22.15, so it is built by hand here from what yoga 5.24 does with `graphql`: its headers, `Content-Encoding: none`
 * among them, the comment that opens the stream, and a frame for each result (`plugins/result-processor/sse.js`).
 */
import express, { type RequestHandler } from 'express';
import { buildSchema, type ExecutionResult, graphql, parse, subscribe } from 'graphql';
import { ANSWER, guardOf, type Shape, WORDS } from './shape.ts';

const schema = buildSchema('type Query { ok: Boolean } type Subscription { answer: String }');

const rootValue = {
  ok: true,
  async *answer() {
    for (const answer of WORDS) yield await Promise.resolve({ answer });
  },
};

async function* frames(results: AsyncIterable<ExecutionResult>): AsyncIterable<string> {
  yield ':\n\n';
  for await (const result of results) yield `event: next\ndata: ${JSON.stringify(result)}\n\n`;
  yield 'event: complete\ndata:\n\n';
}

const yoga: RequestHandler<object, unknown, { query: string }> = async (req, res) => {
  const { query } = req.body;
  if (req.headers.accept !== 'text/event-stream') {
    res.json(await graphql({ schema, source: query, rootValue }));
    return;
  }
  const results = await subscribe({ schema, document: parse(query), rootValue });
  if (!(Symbol.asyncIterator in results)) throw new Error('the subscription has an error');
  res.writeHead(200, {
    'content-type': 'text/event-stream',
    connection: 'keep-alive',
    'cache-control': 'no-cache',
    'content-encoding': 'none',
  });
  for await (const frame of frames(results)) res.write(Buffer.from(frame));
  res.end();
};

function ask(query: string, accept: string) {
  const headers = { 'content-type': 'application/json', accept };
  return { path: '/graphql', method: 'POST', headers, body: JSON.stringify({ query }) };
}

export const YOGA: Shape = {
  app: (keep) => {
    const app = express();
    app.use('/graphql', express.json(), guardOf(keep), yoga);
    return app;
  },
  asks: [ask('subscription { answer }', 'text/event-stream'), ask('{ ok }', 'application/json')],
  sees: ['event: next', '{"data":{"answer":" big"}}', 'event: complete', '{"data":{"ok":true}}'],
  rows: [{ text: ANSWER, events: null }],
  streams: { '/graphql': 1 },
};
