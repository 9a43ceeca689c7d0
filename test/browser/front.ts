/**
 * A reverse proxy for several instances: it serves the files of a page and passes all other requests to one instance. A test can break
 * the connections of clients, and can discard what an instance sends.
 */
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { serve } from '../support/test-server.ts';

/** Media type and content of each file, by its path and query. */
export type Files = Readonly<Record<string, readonly [type: string, text: string]>>;

/** A response of an instance, when its head has arrived. */
export interface Passed {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly from: string;
  readonly status: number;
}

/** The proxy. It listens until the end of the test. */
export class Front {
  readonly passed: Passed[] = [];
  url = '';
  /** The URL of the instance that gets the next request. */
  to: string;
  /** The bytes that were discarded, as text. */
  lost = '';
  readonly #files: Files;
  readonly #answers = new Set<{ readonly res: ServerResponse; isLost: boolean }>();

  private constructor(files: Files, to: string) {
    this.#files = files;
    this.to = to;
  }

  /** Passes requests to the instance at `to`, except those for `files`. */
  static async start(files: Files, to: string): Promise<Front> {
    const front = new Front(files, to);
    const { url } = await serve((req, res) => front.#answer(req, res));
    front.url = url;
    return front;
  }

  /** Breaks the connections of all responses that have not ended. */
  cut(): void {
    for (const { res } of this.#answers) res.destroy();
  }

  /** Discards the rest of all responses that have not ended. Their clients notice nothing until the instance breaks them off. */
  lose(): void {
    for (const answer of this.#answers) answer.isLost = true;
  }

  #answer(req: IncomingMessage, res: ServerResponse): void {
    const { method = '', url: path = '', headers } = req;
    const [type, text] = this.#files[path] ?? [];
    if (type !== undefined) return void res.setHeader('content-type', type).end(text);
    const from = this.to;
    const passed = request(`${from}${path}`, { method, headers }, (answer) => {
      const status = answer.statusCode ?? 0;
      this.passed.push({ method, path, from, status });
      res.writeHead(status, answer.headers).flushHeaders();
      const one = { res, isLost: false };
      this.#answers.add(one);
      res.on('close', () => this.#answers.delete(one));
      answer.on('data', (bytes: Buffer) => {
        if (one.isLost) this.lost += bytes.toString();
        else res.write(bytes);
      });
      answer.on('end', () => res.end());
      // The instance broke the response off: the client gets what arrived before, and no regular end.
      answer.on('error', () => res.socket?.destroySoon());
    });
    passed.on('error', () => res.destroy());
    res.on('close', () => passed.destroy());
    req.pipe(passed);
  }
}
