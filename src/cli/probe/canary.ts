/** Repeats the probe: runs a round at an interval, and serves the counts to Prometheus. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Io } from '../io.ts';
import { allKept, type Finding, probeRound, type Plan, report, RESULTS } from './round.ts';

export interface CanaryOptions {
  readonly intervalMs: number;
  /** 0: any free port; `undefined`: no metrics. */
  readonly metricsPort: number | undefined;
  /** The address that `/metrics` listens on. */
  readonly metricsHost: string;
}

/** Runs until SIGINT or SIGTERM. Resolves to true when every stream of every round was kept. */
export async function runCanary(plan: Plan, options: CanaryOptions, io: Io): Promise<boolean> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once('SIGINT', end).once('SIGTERM', end);
  const counts = createCounts(plan);
  let server: Server | undefined;
  let good = true;
  try {
    if (options.metricsPort !== undefined) server = await serve(counts, options, io);
    while (!stop.signal.aborted) {
      const findings = await probeRound(plan);
      counts.add(findings);
      good &&= allKept(findings);
      io.stdout.write(
        allKept(findings)
          ? `${time()} all ${findings.length} kept\n`
          : `${time()}\n${report(findings)}`,
      );
      await sleep(options.intervalMs, undefined, { signal: stop.signal }).catch(() => {
        // A signal ended the wait: the loop checks that next.
      });
    }
    return good;
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end);
    server?.close();
    server?.closeAllConnections();
  }
}

interface Counts {
  add(findings: readonly Finding[]): void;
  /** In the text format of Prometheus. */
  text(): string;
}

/** Creates the counters: every series exists from the start, with 0. */
function createCounts({ exitModes }: Plan): Counts {
  const streams = new Map<string, number>(
    exitModes.flatMap((mode) =>
      RESULTS.map((result) => [`way="${mode}",result="${result}"`, 0] as const),
    ),
  );
  let lastRoundMs = 0;
  return {
    add(findings) {
      lastRoundMs = Date.now();
      for (const { exitMode, result } of findings) {
        const series = `way="${exitMode}",result="${result}"`;
        streams.set(series, (streams.get(series) ?? 0) + 1);
      }
    },
    text: () =>
      [
        ...head(STREAMS, 'counter', 'Streams that were opened and left, by what was kept of them.'),
        ...[...streams].map(([labels, count]) => `${STREAMS}{${labels}} ${count}`),
        ...head(
          LAST_ROUND,
          'gauge',
          'When the last round ended, as Unix time; 0 before the first.',
        ),
        `${LAST_ROUND} ${lastRoundMs / 1000}`,
        '',
      ].join('\n'),
  };
}

/** Not in the metrics table of the app, because this is another process. */
const STREAMS = 'lastchunk_probe_streams_total';
const LAST_ROUND = 'lastchunk_probe_last_round_timestamp_seconds';

function head(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

async function serve(
  counts: Counts,
  { metricsPort, metricsHost }: CanaryOptions,
  io: Io,
): Promise<Server> {
  const server = createServer((req, res) => {
    const found = req.url?.split('?', 1)[0] === '/metrics';
    res.writeHead(found ? 200 : 404, { 'content-type': 'text/plain; version=0.0.4' });
    res.end(found ? counts.text() : 'metrics are at /metrics\n');
  });
  server.listen(metricsPort, metricsHost);
  await once(server, 'listening');
  // A TCP server that listens has an AddressInfo.
  const { address, port } = server.address() as AddressInfo;
  const host = address.includes(':') ? `[${address}]` : address;
  io.stdout.write(`metrics at http://${host}:${port}/metrics\n`);
  return server;
}

function time(): string {
  return new Date().toISOString();
}
