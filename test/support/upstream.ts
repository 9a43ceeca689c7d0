/**
 * A model provider on a local socket that speaks the streaming chat completions of OpenAI, and does on request
 * what providers do on bad days.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { chatChunk } from './frames.ts';
import { until } from './until.ts';

/** One request to the provider, which the test answers. */
export interface Call {
  /** Sends one delta each. */
  say(...texts: readonly string[]): void;
  /** Sends bytes as they are. */
  send(bytes: string): void;
  /** Sends the finish reason and `[DONE]`, and ends. */
  finish(reason?: string): void;
  /** Ends the body properly, without a finish reason. */
  end(): void;
  /** Drops the connection. */
  cut(): void;
  /** True once whoever asked has gone away before the end. */
  readonly aborted: boolean;
}

/** The provider. */
export interface Upstream {
  /** For the `openai` client and for plain fetches of `${baseURL}/chat/completions`. */
  readonly baseURL: string;
  /** The `nth` request, from 1; waits for it. */
  call(nth?: number): Promise<Call>;
}

/** Starts a provider that lives until the end of the test. */
export async function createUpstream(): Promise<Upstream> {
  const calls: Call[] = [];
  const server = createServer((req, res) => {
    req.resume();
    res.writeHead(200, { 'content-type': 'text/event-stream' });
    res.flushHeaders();
    calls.push(createCall(res));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, 'localhost', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo;
  return {
    baseURL: `http://localhost:${port}/v1`,
    call: (nth = 1) => until(`the upstream is asked ${nth} times`, () => calls[nth - 1]),
  };
}

function createCall(res: ServerResponse): Call {
  let aborted = false;
  res.on('close', () => {
    aborted = !res.writableEnded;
  });
  return {
    say: (...texts) => {
      for (const content of texts) res.write(chatChunk({ content }));
    },
    send: (bytes) => res.write(bytes),
    finish: (reason = 'stop') => {
      res.write(chatChunk({}, reason));
      res.end('data: [DONE]\n\n');
    },
    end: () => res.end(),
    cut: () => res.socket?.destroy(),
    get aborted() {
      return aborted;
    },
  };
}
