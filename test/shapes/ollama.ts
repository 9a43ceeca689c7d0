/** A proxy to Ollama: `http-proxy` between the client and a server that speaks Ollama's NDJSON, chunk by chunk. */
import express from 'express';
import httpProxy from 'http-proxy';
import { line } from '../support/frames.ts';
import { serve } from '../support/test-server.ts';
import { afterTest, ANSWER, guardOf, type Shape, WORDS } from './shape.ts';

const facts = { model: 'llama3.2', created_at: '2026-01-01T00:00:00Z' };

export const OLLAMA: Shape = {
  app: async (keep) => {
    const ollama = await serve((req, res) => {
      req.resume();
      res.writeHead(200, { 'content-type': 'application/x-ndjson' });
      for (const content of WORDS) {
        res.write(line({ ...facts, message: { role: 'assistant', content }, done: false }));
      }
      const done = { done: true, done_reason: 'stop', eval_count: 3 };
      res.end(line({ ...facts, message: { role: 'assistant', content: '' }, ...done }));
    });
    const proxy = httpProxy.createProxyServer({ target: ollama.url });
    afterTest(() => proxy.close());
    const app = express();
    app.post('/api/chat', guardOf(keep), (req, res) => proxy.web(req, res));
    return app;
  },
  asks: [{ path: '/api/chat', method: 'POST', body: '{"model":"llama3.2"}' }],
  sees: ['"content":" big"', '"done_reason":"stop"', 'application/x-ndjson'],
  rows: [{ text: ANSWER }],
  streams: { '/api/chat': 1 },
};
