/** Whole streams of a real app in every state of its SDK: how many spans they make, and that none of it matters to them. */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { look } from '../postgres/messages.ts';
import { ROOT } from '../support/imports.ts';
import { startOtlpReceiver } from '../support/otlp.ts';
import { type AppFolder, createAppFolder } from '../support/package.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { type Running, startApp } from './running.ts';

const OTEL = ['api', 'sdk-node', 'instrumentation-http'].map((name) => `@opentelemetry/${name}`);

let database: TestPostgres;
let folder: AppFolder;
let url: string;
beforeAll(async () => {
  [database, folder] = await Promise.all([
    startPostgres(),
    createAppFolder(['express', 'pg', ...OTEL]),
  ]);
  await cp(join(ROOT, 'test/register/app.mjs'), join(folder.path, 'app.mjs'));
});
afterAll(() => Promise.all([database.remove(), folder.remove()]));
beforeEach(async () => {
  url = await database.newDatabase();
});

/** Sampled out by whoever called. */
const UNSAMPLED = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' };
const REGISTERED = ['--import', 'lastchunk/register'];

/** An answer that its client reads to the end, and one whose client leaves after the first word. */
async function askBoth(app: Running, headers = {}): Promise<void> {
  const address = await app.url;
  const whole = await fetch(`${address}/chat/1-whole`, { method: 'POST', headers });
  expect(await whole.text()).toBe(
    'data: {"text":"one"}\n\ndata: {"text":" two"}\n\ndata: [DONE]\n\n',
  );
  const leave = new AbortController();
  const left = await fetch(`${address}/chat/2-left?leaves`, {
    method: 'POST',
    headers,
    signal: leave.signal,
  });
  await left.body?.getReader().read();
  leave.abort();
}

const rows = async () =>
  // The columns of the query.
  (await look(
    url,
    'SELECT content, outcome, complete, trace_id FROM lastchunk_messages ORDER BY conversation_id',
  )) as readonly { readonly trace_id: string | null }[];

const WHOLE = [
  { content: 'one two', outcome: 'completed', complete: true },
  { content: 'one two', outcome: 'disconnected', complete: true },
];

/** Both are kept, and the app ends as it should, without a word. */
async function expectUnharmed(app: Running): Promise<void> {
  await until('both are saved', async () => (await rows()).length === 2);
  app.kill('SIGTERM');
  expect(await app.end()).toEqual({ code: 0, signal: null, stderr: '' });
  expect(await rows()).toMatchObject(WHOLE);
}

async function open(env: Readonly<Record<string, string>>, flags: readonly string[] = REGISTERED) {
  const receiver = await startOtlpReceiver();
  onTestFinished(() => receiver.close());
  const app = startApp(
    folder.path,
    {
      DATABASE_URL: url,
      DEADLINE_MS: '10000',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      ...env,
    },
    flags,
  );
  return { app, receiver };
}

it('a guarded stream has three spans: of its request, of itself and of its save, however it ends', async () => {
  const { app, receiver } = await open({});
  await askBoth(app);
  await expectUnharmed(app);
  const traceIds = [...new Set(receiver.spans.map(({ traceId }) => traceId))];
  const namesIn = (id: string): readonly string[] =>
    receiver.spans.filter(({ traceId }) => traceId === id).map(({ name }) => name);
  expect(traceIds.map((id) => namesIn(id).toSorted())).toEqual(
    Array(2).fill(['POST', 'save', 'stream /chat/:id']),
  );
  const kept = (await rows()).map(({ trace_id }) => trace_id);
  expect(new Set(kept)).toEqual(new Set(traceIds));
});

describe('streams are whole and saved, and nothing is printed,', () => {
  it('without an SDK', async () => {
    const { app } = await open({}, []);
    await askBoth(app);
    await expectUnharmed(app);
    expect((await rows()).map(({ trace_id }) => trace_id)).toEqual([null, null]);
  });

  it('below a request that is not sampled', async () => {
    const { app, receiver } = await open({});
    await askBoth(app, UNSAMPLED);
    await expectUnharmed(app);
    expect(receiver.spans).toEqual([]);
    // The trace is known all the same: other services may have kept their part of it.
    const [, traceId] = UNSAMPLED.traceparent.split('-');
    expect((await rows()).map(({ trace_id }) => trace_id)).toEqual([traceId, traceId]);
  });

  it('under an SDK that is shut down during the streams', async () => {
    const { app, receiver } = await open({ SDK_LATE: 'true' }, []);
    const address = await app.url;
    const ask = (path: string) => fetch(address + path, { method: 'POST' });
    const whole = await ask('/chat/1-whole?waits');
    const leave = new AbortController();
    const left = await fetch(`${address}/chat/2-left?waits&leaves`, {
      method: 'POST',
      signal: leave.signal,
    });
    await left.body?.getReader().read();
    expect(await (await ask('/shutdown-sdk')).json()).toBe(true);
    expect(await (await ask('/go/1-whole')).json()).toBe(true);
    expect(await (await ask('/go/2-left')).json()).toBe(true);
    leave.abort();
    expect(await whole.text()).toContain('" two"}\n\ndata: [DONE]\n\n');
    await expectUnharmed(app);
    expect(receiver.spans.map(({ name }) => name)).not.toContain('stream /chat/:id');
  });
});
