/** The examples of docs/noise.md, taken from its text and run as they stand, each in a process with a client that leaves. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT } from '../support/imports.ts';
import { type AppFolder, createAppFolder } from '../support/package.ts';

let folder: AppFolder;
const examples = new Map<string, string>();

beforeAll(async () => {
  folder = await createAppFolder([
    '@opentelemetry/api',
    '@opentelemetry/sdk-logs',
    '@opentelemetry/sdk-trace',
    'express',
    'pino',
    'winston',
  ]);
  const page = await readFile(join(ROOT, 'docs', 'noise.md'), 'utf8');
  for (const [, file = '', code = ''] of page.matchAll(/```js\n\/\/ (\w+\.mjs)\n(.*?)```/gs)) {
    examples.set(file, code);
    await writeFile(join(folder.path, file), code);
  }
});
afterAll(() => folder.remove());

/** How the app of each example logs what its handler caught: noise first, then a real failure. */
const REPORTS: Readonly<Record<string, string>> = {
  'pino.mjs': `import { logger } from './pino.mjs';
    const report = (err) => logger.error({ err }, 'it fell');`,
  'winston.mjs': `import { logger } from './winston.mjs';
    const report = (err) => logger.error('it fell', { err });`,
  'console.mjs': `import './console.mjs';
    const report = (err) => console.error('it fell', err);`,
  'otel.mjs': `import { logs, traces } from './otel.mjs';
    const report = (err) => {
      const span = traces.getTracer('app').startSpan('call');
      span.recordException(err);
      span.setStatus({ code: 2, message: err.message });
      span.end();
      logs.getLogger('app').emit({ severityNumber: 17, body: 'it fell', exception: err });
    };
    const flush = () => Promise.all([logs.forceFlush(), traces.forceFlush()]);`,
};

const HOST = `
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { lastchunk } from 'lastchunk';
const store = { save: () => Promise.resolve(), close: () => Promise.resolve() };
const keep = lastchunk({ store, journal: false });
const app = express();
app.get('/', keep.guard({ policy: { disconnected: 'keep' } }), async (_req, res) => {
  res.type('text/plain').write('one');
  try {
    await sleep(60_000, undefined, { signal: keep.stream(res).signal });
  } catch (error) {
    report(error);
  }
  report(new Error('disk full'));
  await (typeof flush === 'undefined' ? undefined : flush());
  server.close();
  await keep.close();
});
const server = app.listen(0, () => {
  const asking = http.get({ port: server.address().port }, (answer) => {
    answer.once('data', () => asking.destroy());
    answer.on('error', () => {});
  });
});
`;

/** What it printed, and where. */
async function runs(example: string): Promise<{ out: string; err: string }> {
  expect([...examples.keys()]).toEqual(Object.keys(REPORTS));
  const file = join(folder.path, `host-of-${example}`);
  await writeFile(file, `${REPORTS[example]}\n${HOST}`);
  const app = spawn(process.execPath, [file], {
    cwd: folder.path,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, err, [code]] = await Promise.all([
    text(app.stdout),
    text(app.stderr),
    once(app, 'exit'),
  ]);
  expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' });
  return { out, err };
}

const NOISE = { noise: true, noiseReason: 'abort-error', streamId: expect.any(String) };

it.each([
  ['pino.mjs', [20, 50]],
  ['winston.mjs', ['debug', 'error']],
] as const)(
  '%s prints a line of noise at debug and a failure at error',
  async (example, levels) => {
    const { out } = await runs(example);
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([{ level: levels[0], ...NOISE }, { level: levels[1] }]);
    expect(lines).toHaveLength(2);
    expect(lines[1]).not.toHaveProperty('noise');
  },
);

it('console.mjs prints noise as debug and a failure as an error', async () => {
  const { out, err } = await runs('console.mjs');
  expect(out.match(/it fell/g)).toHaveLength(1);
  expect(out).toContain("noiseReason: 'abort-error'");
  expect(err.match(/it fell/g)).toHaveLength(1);
  expect(err).toContain('disk full');
});

it('otel.mjs exports noise without ERROR and a failure with it', async () => {
  const { out } = await runs('otel.mjs');
  expect(out.match(/status: \{ code: \d/g)).toEqual(['status: { code: 0', 'status: { code: 2']);
  expect(out.match(/severityNumber: \d+/g)).toEqual(['severityNumber: 5', 'severityNumber: 17']);
  expect(out.match(/'lastchunk\.noise\.reason': 'abort-error'/g)).toHaveLength(2);
});
