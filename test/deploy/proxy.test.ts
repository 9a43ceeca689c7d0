/** The proxy of docker-compose.yml, run for real in front of two servers of the test. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { ROOT } from '../support/imports.ts';
import { until } from '../support/until.ts';

const hasCaddy = spawnSync('caddy', ['version']).error === undefined;
if (!hasCaddy) process.stdout.write('no caddy here: what is tested of the proxy is left out\n');

it.runIf(hasCaddy)(
  'passes each chunk on at once, from either instance, or from the one that is still running',
  async () => {
    let release = (): void => {};
    const answering =
      (name: string): RequestListener =>
      (req, res) => {
        if (req.method === 'HEAD') return void res.end();
        res.setHeader('content-type', 'application/x-ndjson');
        res.write(`data: ${name}\n\n`);
        release = () => void res.end('data: end\n\n');
      };
    const first = await listen(answering('first'));
    const second = await listen(answering('second'));
    const url = await startProxy([first.port, second.port]);

    const ask = async (): Promise<string> => {
      const response = await fetch(url);
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      // The server does not go on before this has been read.
      const beginning = (await reader?.read())?.value ?? '';
      release();
      expect((await reader?.read())?.value).toBe('data: end\n\n');
      return beginning;
    };
    const both = ['data: first\n\n', 'data: second\n\n'];
    expect([await ask(), await ask()].toSorted()).toEqual(both);

    first.server.close();
    first.server.closeAllConnections();
    for (const _ of both) expect(await ask()).toBe('data: second\n\n');
  },
);

async function listen(answer: RequestListener) {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP server that listens has an AddressInfo.
  return { server, port: (server.address() as AddressInfo).port };
}

/** The shipped configuration, with addresses of this machine in the place of those that compose gives its services. */
async function startProxy(ports: readonly number[]): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'lastchunk-proxy-'));
  const own = await listen(() => {});
  own.server.close();
  const shipped = await readFile(join(ROOT, 'deploy/proxy/Caddyfile'), 'utf8');
  const file = join(home, 'Caddyfile');
  const addresses = ports.map((port) => `127.0.0.1:${port}`).join(' ');
  const config = shipped
    .replace('demo-1:3000 demo-2:3000', addresses)
    .replace(':3000 {', `:${own.port} {`);
  expect(config).not.toContain('3000');
  await writeFile(file, config);
  const args = ['run', '--adapter', 'caddyfile', '--config', file];
  const env = { ...process.env, HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home };
  const caddy = spawn('caddy', args, { env, stdio: 'ignore' });
  onTestFinished(async () => {
    const gone = once(caddy, 'exit');
    caddy.kill('SIGKILL');
    await gone;
    await rm(home, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${own.port}`;
  const answers = (): Promise<boolean> =>
    fetch(url, { method: 'HEAD', signal: AbortSignal.timeout(1_000) }).then(
      () => true,
      () => false,
    );
  await until('the proxy listens', answers);
  return url;
}
