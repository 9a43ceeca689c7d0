/** What several cases of the third set need. */
import { Readable } from 'node:stream';
import OpenAI from 'openai';
import pg from 'pg';
import type { Stage } from './case.ts';
import { rejection } from './provoke.ts';

/** What every model is asked. */
export const QUESTION = [{ role: 'user', content: 'hello' }] as const;

/** Asks the OpenAI at `url` for a stream, once. */
export function ask(url: string, signal?: AbortSignal, timeout = 600_000) {
  const openai = new OpenAI({ apiKey: 'k', baseURL: url, maxRetries: 0, timeout });
  const options = signal === undefined ? {} : { signal };
  return openai.chat.completions.create(
    { model: 'm', messages: [...QUESTION], stream: true },
    options,
  );
}

/** Reads to the end. */
export async function drain(
  source: AsyncIterable<unknown> | Iterable<unknown> | null,
): Promise<void> {
  for await (const piece of source ?? []) void piece;
}

/** The body of an answer as one of Node's streams. */
export function webBody({ body }: Response): Readable {
  if (body === null) throw new Error('no body');
  // Node's web streams and those of the DOM are one and the same, but for their types.
  return Readable.fromWeb(body as never);
}

/** Whether the client stays. */
export const isThere = ({ scene }: Stage): boolean => scene === 'there';

/** The stream's signal and the fixture's own limit, which is what ends the work where the client stays. */
export function limited(stage: Stage): AbortSignal {
  const limit = AbortSignal.timeout(isThere(stage) ? 50 : 600_000);
  return AbortSignal.any([stage.handle.signal, limit]);
}

/** The error of a query whose backend an administrator ends. */
export async function ended(connectionString: string): Promise<unknown> {
  const [one, other] = [new pg.Client({ connectionString }), new pg.Client({ connectionString })];
  one.on('error', () => {
    // The query reports it.
  });
  await Promise.all([one.connect(), other.connect()]);
  const { rows } = await one.query<{ pid: number }>('select pg_backend_pid() as pid');
  const error = rejection(one.query('select pg_sleep(60)'));
  await other.query('select pg_terminate_backend($1)', [rows[0]?.pid]);
  await other.end();
  return error;
}

/** The error of a second row under the same key. */
export async function twice(connectionString: string): Promise<unknown> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query('create temp table message (id int primary key)');
  await client.query('insert into message values (1)');
  const error = await rejection(client.query('insert into message values (1)'));
  await client.end();
  return error;
}

/** The error of a pool whose only client is taken. */
export async function starved(connectionString: string): Promise<unknown> {
  const pool = new pg.Pool({ connectionString, max: 1 });
  const client = await pool.connect();
  // Only now: the first connection may take its time.
  pool.options.connectionTimeoutMillis = 50;
  const error = await rejection(pool.connect());
  client.release();
  await pool.end();
  return error;
}
