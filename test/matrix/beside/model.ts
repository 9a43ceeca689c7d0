/** The provider of a model: it says a word, and the rest when it is told to. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chatChunk } from '../../support/frames.ts';

/** What it says first. */
export const FIRST = chatChunk({ content: 'one' });
/** What it says when it is told to go on. */
export const REST = `${chatChunk({ content: ' two' })}${chatChunk({}, 'stop')}data: [DONE]\n\n`;

/** A running one; answers are known by their conversation. */
export interface Model {
  readonly url: string;
  finish(id: string): void;
  /** Breaks the connection. */
  cut(id: string): void;
  /** Resolves when nobody listens any more. */
  isLeft(id: string): Promise<void>;
  close(): void;
}

/** Starts one. */
export async function startModel(): Promise<Model> {
  const answers = new Map<string, ServerResponse>();
  const server = createServer((req, res) => {
    answers.set(req.url?.slice(1) ?? '', res);
    req.resume();
    res.writeHead(200, { 'content-type': 'text/event-stream' }).write(FIRST);
  });
  return {
    url: await addressOf(server),
    finish: (id) => void answers.get(id)?.end(REST),
    cut: (id) => void answers.get(id)?.socket?.destroy(),
    isLeft: async (id) => {
      const answer = answers.get(id);
      if (answer?.closed === false) await once(answer, 'close');
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Listens on a free port and says where. */
export async function addressOf(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server that listens has an address object.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
