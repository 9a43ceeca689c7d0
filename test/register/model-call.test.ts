/** Where the calls of a guarded handler stand in the trace: below its stream, also those before its first byte. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type ReceivedSpan, startOtlpReceiver } from '../support/otlp.ts';
import { type AppFolder, createAppFolder } from '../support/package.ts';
import { startApp } from './running.ts';

const OTEL = ['api', 'sdk-node', 'instrumentation-http', 'instrumentation-express'];

/** A handler that calls its model twice, in each place that a guard may stand in. */
const APP = `
import http from 'node:http';
import { lastchunk } from 'lastchunk';
const store = { save: () => Promise.resolve(), close: () => Promise.resolve() };
const keep = lastchunk({ store, journal: false, logger: false });
const model = http.createServer((_req, res) => res.end('x')).listen(0);
const call = () => new Promise((resolve, reject) => {
  const answered = (answer) => answer.resume().on('end', resolve);
  http.get({ port: model.address().port, path: '/model' }, answered).on('error', reject);
});
const chat = async (_req, res) => {
  await call();
  res.type('text/event-stream').write('data: {"text":"one"}\\n\\n');
  await call();
  res.end('data: [DONE]\\n\\n');
};
const { default: express } = await import(process.env.EXPRESS);
const app = express();
app.post('/behind/:id', keep.guard(), chat);
app.post('/around/:id', keep.guard({}, chat));
const router = express.Router();
router.use(keep.guard());
router.post('/:id', chat);
app.use('/above', router);
app.post('/plain', keep.guard(), async (_req, res) => {
  await call();
  res.status(400).json({ error: 'not now' });
});
app.post('/quiet', keep.guard(), (_req, res) => res.status(400).json({ error: 'not now' }));
const server = app.listen(0, () => console.log('http://127.0.0.1:' + server.address().port));
process.once('SIGTERM', async () => {
  server.close();
  model.close();
  await keep.close();
});
`;

const CLIENT = 3;

let folder: AppFolder;
beforeAll(async () => {
  const otel = OTEL.map((name) => `@opentelemetry/${name}`);
  folder = await createAppFolder(['express', 'express4', ...otel]);
  await writeFile(join(folder.path, 'app.mjs'), APP);
});
afterAll(() => folder.remove());

const PATHS = ['/behind/7', '/around/7', '/above/7', '/plain', '/quiet'] as const;

describe.each([
  ['Express 5', 'express'],
  ['Express 4', 'express4'],
])('%s', (_title, express) => {
  let spans: readonly ReceivedSpan[] = [];
  /** Asked once, by whichever test is the first. */
  async function askAll(): Promise<void> {
    if (spans.length > 0) return;
    const receiver = await startOtlpReceiver();
    const running = startApp(folder.path, {
      EXPRESS: express,
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    });
    const url = await running.url;
    for (const [index, path] of PATHS.entries()) {
      const headers = { traceparent: `00-${traceOf(index)}-b7ad6b7169203331-01` };
      await (await fetch(url + path, { method: 'POST', headers })).text();
    }
    running.kill('SIGTERM');
    expect(await running.end()).toEqual({ code: 0, signal: null, stderr: '' });
    // It has exported everything before it ended.
    spans = receiver.spans;
    await receiver.close();
  }
  beforeEach(askAll);

  const traceOf = (index: number): string => `${index + 1}`.repeat(32);
  const inTrace = (path: (typeof PATHS)[number]): readonly ReceivedSpan[] =>
    spans.filter(({ traceId }) => traceId === traceOf(PATHS.indexOf(path)));

  /** Names from above a span up to the root of its trace. */
  function above(start: ReceivedSpan | undefined): readonly string[] {
    const parent = spans.find(({ spanId }) => spanId === start?.parentSpanId);
    return parent === undefined ? [] : [parent.name, ...above(parent)];
  }

  it.each([
    ['/behind/7', '/behind/:id'],
    ['/around/7', '/around/:id'],
    ['/above/7', '/above/:id'],
  ] as const)(
    'has the calls of a handler at %s below its stream, whenever they are made',
    (path, route) => {
      const all = inTrace(path);
      const stream = all.find(({ name }) => name === `stream ${route}`);
      expect(stream?.attributes).toMatchObject({ 'http.route': route });
      const calls = all.filter(({ kind }) => kind === CLIENT);
      expect(calls).toHaveLength(2);
      for (const call of calls) expect(above(call)).toContain(`stream ${route}`);
      expect(above(all.find(({ name }) => name === 'save'))[0]).toBe(`stream ${route}`);
    },
  );

  it('has the calls of a handler below its span if its response is not a stream', () => {
    const all = inTrace('/plain');
    const [call] = all.filter(({ kind }) => kind === CLIENT);
    expect(above(call)[0]).toBe('handler /plain');
    expect(all.filter(({ name }) => name.startsWith('stream'))).toEqual([]);
  });

  it('has no span of lastchunk for a handler without calls and without a stream', () => {
    expect(inTrace('/quiet').map(({ name }) => name)).not.toContain('handler /quiet');
    expect(inTrace('/quiet').length).toBeGreaterThan(0);
  });
});
