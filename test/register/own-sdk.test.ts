/** "Your own SDK" of docs/opentelemetry.md, taken from its text and run as it stands, in front of a client that leaves. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ROOT } from '../support/imports.ts';
import { startOtlpReceiver } from '../support/otlp.ts';
import { createAppFolder } from '../support/package.ts';
import { until } from '../support/until.ts';
import { startApp } from './running.ts';

/** An app that traces the call that its leaving client cuts short, and logs it. */
const APP = `
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { trace } from '@opentelemetry/api';
import { logs } from '@opentelemetry/api-logs';
import express from 'express';
import { lastchunk } from 'lastchunk';
const store = { save: () => Promise.resolve(), close: () => Promise.resolve() };
const keep = lastchunk({ store, journal: false, logger: false });
const app = express();
app.get('/', keep.guard({ policy: { disconnected: 'keep' } }), async (_req, res) => {
  res.type('text/plain').write('one');
  const span = trace.getTracer('app').startSpan('call');
  await sleep(60_000, undefined, { signal: keep.stream(res).signal }).catch((error) => {
    span.recordException(error);
    span.setStatus({ code: 2, message: error.message });
    logs.getLogger('app').emit({ severityNumber: 17, body: 'it fell', exception: error });
  });
  span.end();
  server.close();
  await keep.close();
});
const server = app.listen(0, () => {
  console.log('http://127.0.0.1:' + server.address().port);
  const asking = http.get({ port: server.address().port }, (answer) => {
    answer.once('data', () => asking.destroy());
    answer.on('error', () => {});
  });
});
`;

it('an SDK of the app traces streams and saves, and records no error for noise', async () => {
  const page = await readFile(join(ROOT, 'docs/opentelemetry.md'), 'utf8');
  const example = /```js\n\/\/ sdk\.mjs\n(?<code>.*?)```/s.exec(page)?.groups?.['code'] ?? '';
  const packages = [...example.matchAll(/from '(@opentelemetry\/[^']+)'/g)].map(([, name]) => name);
  expect(packages.length).toBeGreaterThan(0);
  const folder = await createAppFolder([
    '@opentelemetry/api',
    '@opentelemetry/api-logs',
    'express',
    ...packages.filter((name) => name !== undefined),
  ]);
  onTestFinished(() => folder.remove());
  await writeFile(join(folder.path, 'sdk.mjs'), example);
  await writeFile(join(folder.path, 'app.mjs'), APP);
  const receiver = await startOtlpReceiver();
  onTestFinished(() => receiver.close());
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url };
  const app = startApp(folder.path, env, ['--import', './sdk.mjs']);
  expect(await app.end()).toEqual({ code: 0, signal: null, stderr: '' });
  const [stream, save] = await Promise.all([receiver.span('stream /'), receiver.span('save')]);
  expect(save.parentSpanId).toBe(stream.spanId);
  const call = await receiver.span('call');
  expect(call.status).toBe(0);
  expect(call.attributes).toMatchObject({ 'lastchunk.noise.reason': 'abort-error' });
  await until('the log record arrives', () => receiver.contentTypes.has('/v1/logs'));
});
