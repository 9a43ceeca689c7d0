/**
 * What a measured server does beside its app: it listens, tells its port, and answers what it is asked, as
 * `servers.ts` of the parent asks it. Arguments of such a process: the compiled package, a directory of its own, and
 * what its module wants to know.
 */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { join } from 'node:path';
import type { Memory, Usage } from './servers.ts';

const [directory = '', home = '', ...args] = process.argv.slice(2);

/** What the parent has given. */
export const given = { directory, home, journal: join(home, 'journal'), args } as const;

/** What a server answers, by question. */
export type Answers = Readonly<Record<string, () => unknown>>;

/** Serves a listener by HTTP/1, or lets a server listen, and answers the questions that all servers answer, and its `own`. */
export async function serve(by: RequestListener | Server, own: Answers = {}): Promise<Server> {
  const server = typeof by === 'function' ? createServer(by) : by;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const answers: Answers = { usage, memory, loopDelayMs, ...own };
  process.on('message', (question: string) => void answer(answers[question]));
  // A parent that is gone needs no server.
  process.once('disconnect', () => process.exit());
  // Listening on an address, so it is not the path of a pipe.
  process.send?.({ port: (server.address() as AddressInfo).port });
  return server;
}

async function answer(asked: (() => unknown) | undefined): Promise<void> {
  if (asked === undefined) throw new Error('the bench asks what this server does not know');
  process.send?.({ answer: await asked() });
}

function usage(): Usage {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return { cpuUs: userCPUTime + systemCPUTime, peakBytes: maxRSS * 1_024 };
}

/** After a collection, if there may be one. */
function memory(): Memory {
  globalThis.gc?.();
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  return { rss, heapUsed };
}

/** Milliseconds between two looks at the clock. */
const RESOLUTION_MS = 1;
let loop: ReturnType<typeof monitorEventLoopDelay> | undefined;

/** The 99th percentile since it was last asked, without the wait that was meant; the first answer is 0. */
function loopDelayMs(): number {
  const delayMs = loop === undefined ? 0 : loop.percentile(99) / 1e6 - RESOLUTION_MS;
  loop?.disable();
  loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  loop.enable();
  return delayMs;
}
