/** The app of docs/kubernetes.md, as it stands there, with the environment of the manifests and a database that is away. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, lstatSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeAll, afterAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { ROOT } from '../support/imports.ts';
import { type AppFolder, createAppFolder } from '../support/package.ts';
import { soon, until } from '../support/until.ts';
import { shippedManifests } from './manifests.ts';

/** Says something, and goes on when the test lets it. */
const HANDLER = `
export async function chat(req, res) {
  res.type('text/event-stream');
  res.write('data: {"text":"one"}\\n\\n');
  await new Promise((resolve) => process.stdin.once('data', resolve));
  res.write('data: {"text":" two"}\\n\\n');
  res.end('data: [DONE]\\n\\n');
}
`;

let folder: AppFolder;
let app: ChildProcess;
let http: string;
let operations: string;
let journal: string;

beforeAll(async () => {
  const peers = ['@opentelemetry/api', 'express', 'pg', 'prom-client'];
  folder = await createAppFolder(peers);
  const page = readFileSync(join(ROOT, 'docs/kubernetes.md'), 'utf8');
  writeFileSync(join(folder.path, 'app.mjs'), /```js\n(.*?)```/s.exec(page)?.[1] ?? '');
  writeFileSync(join(folder.path, 'chat.mjs'), HANDLER);
});
afterAll(() => folder.remove());

/** Starts it with what is in the manifest, the ports and the places of this machine put in. */
async function start(kind: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const found = shippedManifests().find(({ manifest }) => manifest.kind === kind);
  // test/deploy/kubernetes.test.ts looks at the form.
  const spec = found?.manifest.spec as {
    template: { spec: { containers: { env: { name: string; value?: string }[] }[] } };
  };
  const env = spec.template.spec.containers[0]?.env ?? [];
  const [port, operationsPort] = [await freePort(), await freePort()];
  const volume = mkdtempSync(join(folder.path, 'volume-'));
  // As the kubelet leaves the root of a volume.
  chmodSync(volume, 0o2775);
  journal = join(volume, 'journal');
  const here: Readonly<Record<string, string>> = {
    PORT: String(port),
    OPERATIONS_PORT: String(operationsPort),
    JOURNAL: journal,
    // Nobody listens there.
    DATABASE_URL: `postgres://127.0.0.1:${await freePort()}/none`,
    ...more,
  };
  app = spawn(process.execPath, ['app.mjs'], {
    cwd: folder.path,
    env: Object.fromEntries(env.map(({ name, value = '' }) => [name, here[name] ?? value])),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  http = `http://127.0.0.1:${port}`;
  operations = `http://127.0.0.1:${operationsPort}`;
  await until('it serves', () =>
    fetch(`${operations}/live`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
}
afterEach(async () => {
  if (app.exitCode !== null || app.signalCode !== null) return;
  app.kill('SIGKILL');
  await once(app, 'exit');
});

async function health(): Promise<{ status: number; reasons: string[] }> {
  const response = await fetch(`${operations}/health/saves`);
  // The shape is that of health.
  const { reasons } = (await response.json()) as { reasons: string[] };
  return { status: response.status, reasons };
}

describe.each(['Deployment', 'StatefulSet'])('the app in the %s', (kind) => {
  it('stays ready and alive without its database, and finishes its answers on SIGTERM', async () => {
    await start(kind);
    // Asked in the background: the next answer knows.
    const away = await until('health knows of it', async () => {
      const answer = await health();
      return answer.reasons.includes('store-away') ? answer : undefined;
    });
    expect(away.status).toBe(200);
    expect((await fetch(`${operations}/live`)).status).toBe(200);
    expect(await (await fetch(`${operations}/metrics`)).text()).toContain('lastchunk_store_up 0');
    expect((await fetch(`${http}/metrics`)).status).toBe(404);
    expect((await fetch(`${http}/health/saves`)).status).toBe(404);
    expect(lstatSync(journal).mode & 0o777).toBe(0o700);

    const response = await fetch(`${http}/chat/1`, { method: 'POST' });
    const exited = once(app, 'exit');
    app.kill('SIGTERM');
    await until('it is not ready', async () => (await health()).status === 503);
    await until('it takes no connection', () => isRefused(Number(new URL(http).port)));
    expect((await fetch(`${operations}/live`)).status).toBe(200);
    app.stdin?.write('go on\n');
    expect(await response.text()).toBe(
      'data: {"text":"one"}\n\ndata: {"text":" two"}\n\ndata: [DONE]\n\n',
    );
    expect(await soon('the exit', exited)).toEqual([0, null]);
  });

  it('gives its answers exactly the deadline of the manifest', async () => {
    await start(kind, { CLOSE_DEADLINE_MS: '0' });
    const response = await fetch(`${http}/chat/1`, { method: 'POST' });
    const exited = once(app, 'exit');
    app.kill('SIGTERM');
    // Some turns of its event loop; it may be gone meanwhile.
    for (let asked = 0; asked < 20; asked += 1) await health().catch(() => undefined);
    app.stdin?.on('error', () => undefined).write('go on\n');
    await expect(response.text()).rejects.toThrow('terminated');
    expect(await soon('the exit', exited)).toEqual([0, null]);
  });
});

/** Whether nothing listens there. */
async function isRefused(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  const refused = await once(socket, 'connect').then(
    () => false,
    () => true,
  );
  socket.destroy();
  return refused;
}
