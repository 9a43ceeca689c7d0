/** Real apps under `node --import lastchunk/register`, and what a collector gets of them. */
import { installCommand } from '../../src/register/install.ts';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { look } from '../postgres/messages.ts';
import { ROOT } from '../support/imports.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../support/otlp.ts';
import { type AppFolder, createAppFolder } from '../support/package.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import { startApp } from './running.ts';

const OTEL = ['api', 'sdk-node', 'instrumentation-http'].map((name) => `@opentelemetry/${name}`);
const INSTRUMENTED = ['express', 'pg'].map((name) => `@opentelemetry/instrumentation-${name}`);

const EVERYWHERE = ['express', 'pg', 'eventsource-parser', 'uuid'];

const INTERNAL = 1;
const SERVER = 2;
const CLIENT = 3;
const UNSET = 0;

let database: TestPostgres;
let full: AppFolder;
let url: string;
beforeAll(async () => {
  const packages = ['express', 'pg', ...OTEL, ...INSTRUMENTED];
  [database, full] = await Promise.all([startPostgres(), createAppFolder(packages)]);
  await cp(join(ROOT, 'test/register/app.mjs'), join(full.path, 'app.mjs'));
});
afterAll(() => Promise.all([database.remove(), full.remove()]));
beforeEach(async () => {
  url = await database.newDatabase();
});

/** Another app with the same build of lastchunk and these packages. */
async function appFolder(packages: readonly string[]): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'lastchunk-app-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  const from = join(full.path, 'node_modules');
  const to = join(path, 'node_modules');
  await cp(join(from, 'lastchunk'), join(to, 'lastchunk'), { recursive: true });
  await mkdir(join(to, '@opentelemetry'));
  for (const name of [...EVERYWHERE, ...packages])
    await symlink(join(ROOT, 'node_modules', name), join(to, name));
  await cp(join(full.path, 'app.mjs'), join(path, 'app.mjs'));
  return path;
}

async function collector(options?: { readonly hangs: boolean }): Promise<OtlpReceiver> {
  const receiver = await startOtlpReceiver(options);
  onTestFinished(() => receiver.close());
  return receiver;
}

/** Exports at once, so that nothing is sent at the end that was not there before. */
const AT_ONCE = { OTEL_BSP_SCHEDULE_DELAY: '10', OTEL_METRIC_EXPORT_INTERVAL: '200' };
/** Exports when the process ends, and not before. */
const AT_THE_END = { OTEL_BSP_SCHEDULE_DELAY: '600000', OTEL_METRIC_EXPORT_INTERVAL: '600000' };

function start(receiver: OtlpReceiver, env: Readonly<Record<string, string>>, folder = full.path) {
  return startApp(folder, {
    DATABASE_URL: url,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    ...env,
  });
}

const ask = async (app: { readonly url: Promise<string> }, path: string): Promise<string> =>
  (await fetch((await app.url) + path, { method: 'POST' })).text();

const rows = (): Promise<unknown> =>
  look(url, 'SELECT content, outcome FROM lastchunk_messages ORDER BY conversation_id');

describe.each([{ protocol: 'http/json' }, { protocol: 'http/protobuf' }])(
  'over OTLP as $protocol',
  ({ protocol }) => {
    it('a whole answer is a stream span below its request, with its save and the database below that', async () => {
      const receiver = await collector();
      const app = start(receiver, { ...AT_ONCE, OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
      expect(await ask(app, '/chat/whole')).toContain('[DONE]');
      const server = await receiver.span('POST /chat/:id', SERVER);
      const stream = await receiver.span('stream /chat/:id', INTERNAL);
      const save = await receiver.span('save', INTERNAL);
      expect(receiver.contentTypes.get('/v1/traces')).toBe(
        protocol === 'http/json' ? 'application/json' : 'application/x-protobuf',
      );
      expect(stream).toMatchObject({ traceId: server.traceId, status: UNSET });
      expect(await ancestors(receiver, stream.parentSpanId)).toContain('POST /chat/:id');
      expect(stream.attributes).toMatchObject({
        'http.route': '/chat/:id',
        'lastchunk.guarded': true,
        'lastchunk.outcome': 'completed',
        'lastchunk.save.result': 'saved',
      });
      expect(save).toMatchObject({ parentSpanId: stream.spanId, status: UNSET });
      // Where the pool has no connection yet, what opens one stands beside it.
      const below = await until('the span of the statement arrives', () =>
        receiver.spans.find(({ name }) => name.startsWith('pg.query:lastchunk_save_1 ')),
      );
      expect(below).toMatchObject({
        parentSpanId: save.spanId,
        attributes: { 'db.system.name': 'postgresql' },
      });
      expect(server.attributes).not.toHaveProperty('lastchunk.outcome');
    });

    it('a client that left is recorded on the span of its request, which is not an error', async () => {
      const receiver = await collector();
      const app = start(receiver, { ...AT_ONCE, OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
      const leave = new AbortController();
      const asked = await fetch(`${await app.url}/chat/left?waits`, {
        method: 'POST',
        signal: leave.signal,
      });
      await asked.body?.getReader().read();
      leave.abort();
      const server = await receiver.span('POST /chat/:id', SERVER);
      await ask(app, '/go/left');
      const stream = await receiver.span('stream /chat/:id', INTERNAL);
      expect(server.attributes).toMatchObject({ 'lastchunk.outcome': 'disconnected' });
      expect(server.status).toBe(UNSET);
      expect(stream.attributes).toMatchObject({ 'lastchunk.outcome': 'disconnected' });
      expect(stream.status).toBe(UNSET);
      expect(await rows()).toEqual([{ content: 'one two', outcome: 'disconnected' }]);
    });
  },
);

it('an upstream call that was aborted because its client left is not an error', async () => {
  const receiver = await collector();
  const app = start(receiver, AT_ONCE);
  const leave = new AbortController();
  const asked = await fetch(`${await app.url}/ask/1`, { method: 'POST', signal: leave.signal });
  await asked.body?.getReader().read();
  leave.abort();
  const call = await receiver.span('GET', CLIENT);
  expect(call.status).toBe(UNSET);
  expect(call.attributes).toMatchObject({ 'lastchunk.noise.reason': expect.any(String) });
  expect(call.attributes).not.toHaveProperty('error.type');
});

describe('by an environment variable', () => {
  it('the SDK is off, and does not have to be installed', async () => {
    const bare = await appFolder(['@opentelemetry/api']);
    const receiver = await collector();
    const app = start(receiver, { OTEL_SDK_DISABLED: 'True', DEADLINE_MS: '5000' }, bare);
    await ask(app, '/chat/off');
    app.kill('SIGTERM');
    expect(await app.end()).toEqual({ code: 0, signal: null, stderr: '' });
    expect(receiver.contentTypes.size).toBe(0);
    expect(await rows()).toEqual([{ content: 'one two', outcome: 'completed' }]);
  });

  it('spans are off and metrics are on', async () => {
    const receiver = await collector();
    const app = start(receiver, { ...AT_ONCE, OTEL_TRACES_EXPORTER: 'none' });
    await ask(app, '/chat/metrics');
    await until('the stream is counted', () =>
      receiver.metrics.some((body) => body.includes('lastchunk.streams.ended')),
    );
    expect([...receiver.contentTypes.keys()]).toEqual(['/v1/metrics']);
  });

  it('no span is sampled, and answers and saves are unchanged', async () => {
    const receiver = await collector();
    const app = start(receiver, {
      ...AT_ONCE,
      OTEL_TRACES_SAMPLER: 'always_off',
      DEADLINE_MS: '5000',
    });
    expect(await ask(app, '/chat/unsampled')).toContain('[DONE]');
    app.kill('SIGTERM');
    expect(await app.end()).toMatchObject({ code: 0 });
    expect(receiver.spans).toEqual([]);
    expect(await rows()).toEqual([{ content: 'one two', outcome: 'completed' }]);
  });
});

describe('without lastchunk/register', () => {
  it('an SDK that is started after lastchunk() gets its metrics, and an answer after its shutdown is saved', async () => {
    const receiver = await collector();
    const app = startApp(
      full.path,
      {
        DATABASE_URL: url,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
        SDK_LATE: 'true',
        ...AT_ONCE,
      },
      [],
    );
    await ask(app, '/chat/1');
    await until('the stream is counted', () =>
      receiver.metrics.some((body) => body.includes('lastchunk.streams.ended')),
    );
    await ask(app, '/shutdown-sdk');
    const { length } = receiver.spans;
    expect(await ask(app, '/chat/2')).toContain('[DONE]');
    expect(await rows()).toHaveLength(2);
    expect(receiver.spans).toHaveLength(length);
  });

  it('and without an SDK an app works as usual', async () => {
    const app = startApp(full.path, { DATABASE_URL: url, DEADLINE_MS: '5000' }, []);
    expect(await ask(app, '/chat/alone')).toContain('[DONE]');
    app.kill('SIGTERM');
    expect(await app.end()).toEqual({ code: 0, signal: null, stderr: '' });
    expect(await rows()).toEqual([{ content: 'one two', outcome: 'completed' }]);
  });
});

describe('at the end of the process', () => {
  it('an app that calls close() exports its last save', async () => {
    const receiver = await collector();
    const app = start(receiver, { ...AT_THE_END, DEADLINE_MS: '10000' });
    await ask(app, '/chat/last');
    app.kill('SIGTERM');
    expect(await app.end()).toEqual({ code: 0, signal: null, stderr: '' });
    expect(receiver.spans.map(({ name }) => name)).toContain('save');
    expect(receiver.metrics.join()).toContain('lastchunk.saves');
  });

  it('a collector that hangs loses no message of two hundred live streams', async () => {
    const receiver = await collector({ hangs: true });
    const app = start(receiver, { ...AT_THE_END, DEADLINE_MS: '4000' });
    const address = await app.url;
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        fetch(`${address}/chat/${at}?waits`, { method: 'POST' }),
      ),
    );
    const read = answers.map((answer) => answer.text().catch(() => 'cut'));
    app.kill('SIGTERM');
    expect(await app.end()).toMatchObject({ code: 0 });
    await Promise.all(read);
    expect([...receiver.contentTypes.keys()]).toContain('/v1/traces');
    expect(await rows()).toEqual(Array(200).fill({ content: 'one', outcome: 'interrupted' }));
  });

  it.each(['SIGTERM', 'SIGINT'] as const)(
    'an app without a handler for %s is ended by it, after its spans were sent',
    async (signal) => {
      const receiver = await collector();
      const app = start(receiver, AT_THE_END);
      await ask(app, '/chat/unhandled');
      app.kill(signal);
      expect(await app.end()).toEqual({ code: null, signal, stderr: '' });
      await receiver.span('stream /chat/:id');
    },
  );

  it('a collector that hangs does not keep the app alive', async () => {
    const receiver = await collector({ hangs: true });
    const app = start(receiver, AT_THE_END);
    await ask(app, '/chat/hung');
    app.kill('SIGTERM');
    expect(await app.end()).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect([...receiver.contentTypes.keys()]).toContain('/v1/traces');
  });

  it('an app that runs out of work exports its spans', async () => {
    const receiver = await collector();
    const app = startApp(full.path, {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      ...AT_THE_END,
    });
    await ask(app, '/chat/observed');
    await ask(app, '/end');
    expect(await app.end()).toEqual({ code: 0, signal: null, stderr: '' });
    await receiver.span('stream /chat/:id');
  });
});

describe('a package that is not installed', () => {
  it('is named, with its install command', async () => {
    const bare = await appFolder(['@opentelemetry/api']);
    const { code, stderr } = await startApp(bare, {}).end();
    expect(code).toBe(1);
    expect(stderr).toContain("code: 'missing-peer'");
    const names = ['@opentelemetry/sdk-node', '@opentelemetry/instrumentation-http'];
    expect(stderr).toContain(installCommand(names, process.versions.node));
  });

  it('is not reported if it is optional', async () => {
    const lean = await appFolder(OTEL);
    const receiver = await collector();
    const app = start(receiver, AT_ONCE, lean);
    await ask(app, '/chat/lean');
    expect(await receiver.span('stream /chat/:id')).toMatchObject({
      // Without the instrumentation of Express nobody names its routes for the request.
      parentSpanId: (await receiver.span('POST', SERVER)).spanId,
    });
  });
});

it('a second copy of the API that the SDK does not use is reported', async () => {
  const folder = await appFolder(OTEL);
  await nestNewerApi(folder);
  const receiver = await collector();
  const app = start(receiver, { ...AT_ONCE, DEADLINE_MS: '5000' }, folder);
  await ask(app, '/chat/two-copies');
  app.kill('SIGTERM');
  const { code, stderr } = await app.end();
  expect(code).toBe(0);
  expect(stderr).toMatch(/LASTCHUNK_TWO_APIS.*copies of @opentelemetry\/api/);
  expect(receiver.spans.map(({ name }) => name)).not.toContain('save');
});

/** A copy of the real API below lastchunk that says it is of a later minor version. */
async function nestNewerApi(path: string): Promise<void> {
  const nested = join(path, 'node_modules/lastchunk/node_modules/@opentelemetry/api');
  await mkdir(join(nested, '..'), { recursive: true });
  await cp(join(ROOT, 'node_modules/@opentelemetry/api'), nested, { recursive: true });
  for (const build of ['build/src', 'build/esm']) {
    const file = join(nested, build, 'version.js');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(/VERSION = '1\.\d+/, "VERSION = '1.98"));
  }
}

/** Names of the spans above, the nearest first. */
async function ancestors(receiver: OtlpReceiver, spanId: string): Promise<readonly string[]> {
  if (spanId === '') return [];
  const parent = await until('the parent arrives', () =>
    receiver.spans.find((one) => one.spanId === spanId),
  );
  return [parent.name, ...(await ancestors(receiver, parent.parentSpanId))];
}
