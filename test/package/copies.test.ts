/** The package loaded twice in one process, as an ES module and as CommonJS: what it keeps for the process is kept once. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AppFolder, createAppFolder } from '../support/package.ts';

const PROGRAM = `
import { once } from 'node:events';
import { createRequire } from 'node:module';
import express from 'express';
import client from 'prom-client';
const require = createRequire(import.meta.url);
const packageFolder = new URL('./node_modules/lastchunk/dist/', import.meta.url);
const load = async (file) => [
  await import(new URL(file, packageFolder)),
  require(new URL('cjs/' + file, packageFolder).pathname),
];
const [esm, cjs] = await load('index.js');
const [esmMetrics, cjsMetrics] = await load('telemetry/prometheus.js');
const registry = new client.Registry();
const saved = [];
const store = { save: async (all) => void saved.push(...all), close: async () => undefined };
const one = esm.lastchunk({ store, journal: false, logger: quiet(), metrics: esmMetrics.prometheus({ client, registry }) });
const two = cjs.lastchunk({ store, journal: false, logger: quiet(), metrics: cjsMetrics.prometheus({ client, registry }) });
const app = express();
let same;
const options = { route: '/chat', message: () => ({ conversationId: 'c' }) };
app.get('/chat', one.observe(), two.observe(), one.guard(options), two.guard(options), (_req, res) => {
  same = one.stream(res) !== undefined && one.stream(res)?.id === two.stream(res)?.id;
  res.setHeader('Content-Type', 'text/event-stream');
  res.write('data: {"choices":[{"delta":{"content":"once"}}]}\\n\\n');
  res.end('data: [DONE]\\n\\n');
});
const server = app.listen(0);
await once(server, 'listening');
const body = await (await fetch('http://127.0.0.1:' + server.address().port + '/chat')).text();
await one.close();
await two.close();
server.close();
const metrics = await registry.metrics();
const sum = (name) =>
  metrics
    .split('\\n')
    .filter((line) => line.startsWith(name + '{route="/chat"'))
    .reduce((total, line) => total + Number(line.split(' ').pop()), 0);
const loaded = { imported: (await import('lastchunk')).lastchunk, required: require('lastchunk').lastchunk };
console.log(
  JSON.stringify({
    different: esm.lastchunk !== cjs.lastchunk,
    one: loaded.imported === loaded.required,
    same,
    body,
    texts: saved.map(({ text }) => text),
    started: sum('lastchunk_streams_started_total'),
    saved: sum('lastchunk_saves_total'),
  }),
);
function quiet() {
  const none = () => undefined;
  return { debug: none, info: none, warn: none, error: none };
}
`;

let folder: AppFolder;
beforeAll(async () => {
  const packages = ['@opentelemetry/api', 'express', 'prom-client'];
  folder = await createAppFolder(packages, { commonjs: true });
  await writeFile(join(folder.path, 'program.mjs'), PROGRAM);
});
afterAll(() => folder.remove());

it('two copies of the package guard one response once, and count it once', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['program.mjs'], {
    cwd: folder.path,
  });
  expect(JSON.parse(stdout)).toEqual({
    different: true,
    one: true,
    same: true,
    body: 'data: {"choices":[{"delta":{"content":"once"}}]}\n\ndata: [DONE]\n\n',
    texts: ['once'],
    started: 1,
    saved: 1,
  });
});
