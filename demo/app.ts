/**
 * A chat app as many are: Express, the OpenAI client, a pool, a table, and a handler that streams and then
 * saves. One handler stands behind two routes, unchanged; the second has `keep.guard()` in front.
 */
import express, { type Express, type Request, type RequestHandler } from 'express';
import type OpenAI from 'openai';
import type { Pool } from 'pg';
import type { Lastchunk } from '../src/index.ts';
import type { PrometheusMetrics } from '../src/telemetry/prometheus.ts';
import { ANSWERS } from './agreed.ts';

/** What the app is made of. */
export interface AppParts {
  readonly openai: OpenAI;
  readonly model: string;
  /** The app's own pool; lastchunk has another. */
  readonly pool: Pool;
  readonly keep: Lastchunk;
  readonly metrics: PrometheusMetrics;
}

/** Makes the app; the caller listens and closes. */
export function createApp({ openai, model, pool, keep, metrics }: AppParts): Express {
  const chat: RequestHandler<{ id: string }, unknown, { prompt: string }> = async (req, res) => {
    const stream = await openai.chat.completions.create({
      model,
      messages: [{ role: 'user', content: req.body.prompt }],
      stream: true,
    });
    res.setHeader('Content-Type', 'text/event-stream');
    let answer = '';
    for await (const chunk of stream) {
      answer += chunk.choices[0]?.delta.content ?? '';
      res.write(`data: ${JSON.stringify(chunk)}\n\n`);
    }
    res.write('data: [DONE]\n\n');
    await pool.query('insert into lastchunk_demo_answers (conversation_id, text) values ($1, $2)', [
      req.params.id,
      answer,
    ]);
    res.end();
  };

  const history =
    (answers: string): RequestHandler<{ id: string }> =>
    async (req, res) => {
      const { rows } = await pool.query(`${answers} where conversation_id = $1`, [req.params.id]);
      res.json(rows);
    };

  // Somebody else's slow page: it takes a connection of the same pool.
  const report: RequestHandler = async (_req, res) => {
    await pool.query('select pg_sleep(60)');
    res.json('done');
  };

  const guard = keep.guard({
    message: (req: Request<{ id: string }>) => ({ conversationId: req.params.id }),
    idleTimeoutMs: 1_500,
  });

  const app = express();
  app.use(express.json());
  app.use(keep.observe());
  app.post('/naive/:id', chat);
  app.get('/naive/:id', history(ANSWERS.naive));
  app.post('/guarded/:id', guard, chat);
  app.get('/guarded/:id', history(ANSWERS.guarded));
  app.get('/report', report);
  app.get('/metrics', metrics.handler());
  app.get('/health/saves', keep.healthHandler());
  app.use('/status', keep.statusHandler({ authorize: isLocal }));
  app.delete('/streams/:streamId', keep.stopHandler({ authorize: isLocal }));
  app.use(keep.errorHandler());
  return app;
}

/** A demo knows no users: whoever is on this machine may. An app asks its session here. */
function isLocal({ socket }: Request): boolean {
  return socket.remoteAddress === '127.0.0.1';
}
