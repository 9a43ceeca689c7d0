/** Servers to be measured: started as processes, asked for what they have used, stopped. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Built } from './built.ts';

/** What stands in front of the handler. */
export const VARIANTS = ['express', 'observe', 'guard', 'guard+journal'] as const;
export type Variant = (typeof VARIANTS)[number];

/** One token, as OpenAI sends it. */
export const CHUNK =
  'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" word"}}]}\n\n';

/** What a server may be asked. */
export type Question = 'usage';

/** What a server has used since it was started; with `--expose-gc`, after a collection. */
export interface Usage {
  /** User and system, microseconds, of all threads. */
  readonly cpuUs: number;
  readonly rss: number;
  readonly heapUsed: number;
  /** Size of the journal when the last stream had written everything. */
  readonly journalBytes: number;
}

/** A running server. */
export interface Server {
  usage(): Promise<Usage>;
  /** Opens a stream and reads it to its end. */
  read(path: string): Promise<void>;
  /** Opens a stream and returns when its first chunk is there. */
  open(path: string): Promise<Socket>;
  /** Ends it as Ctrl-C would not: by its own exit, so that a profile is written. */
  stop(): Promise<void>;
}

/** Starts a server of one variant. `flags` are for Node. */
export async function startServer(
  { directory }: Built,
  variant: Variant,
  flags: readonly string[] = [],
): Promise<Server> {
  const home = mkdtempSync(join(tmpdir(), 'lastchunk-bench-'));
  const journal = variant === 'guard+journal' ? join(home, 'journal') : '';
  const script = fileURLToPath(new URL('./server.ts', import.meta.url));
  const child = fork(script, [directory, variant, journal], {
    execArgv: [...process.execArgv, ...flags],
  });
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`the server ended with ${String(code)}`);
  });
  failed.catch(() => undefined); // Reported to whoever waits for an answer.
  const answer = async (): Promise<unknown> => {
    const [message] = await Promise.race([once(child, 'message'), failed]);
    return message;
  };
  // The first message of server.ts is its port, all others are its usage.
  const { port } = (await answer()) as { port: number };
  const request = (path: string): Socket => {
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET /stream/${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);
    return socket;
  };
  return {
    usage: async () => {
      const answered = answer();
      child.send('usage' satisfies Question);
      return (await answered) as Usage;
    },
    read: async (path) => {
      const socket = request(path).resume();
      await once(socket, 'close');
    },
    open: async (path) => {
      const socket = request(path);
      await once(socket, 'data');
      return socket;
    },
    stop: async () => {
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
      rmSync(home, { recursive: true, force: true });
    },
  };
}
