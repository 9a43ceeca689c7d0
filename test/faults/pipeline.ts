/** A client that sends several requests at once on one connection and reads the answers one after the other. */
import { connect, type Socket } from 'node:net';
import type { Reader } from './client.ts';

/** One request of a pipeline, and the reader of its answer. */
export interface Piped {
  readonly path: string;
  readonly body: string;
  readonly reader: Reader;
}

/** Sends all requests and reads until the last answer is whole or the connection is closed. Never rejects. */
export function pipeline(base: string, all: readonly Piped[], patienceMs: number): Promise<void> {
  const { hostname, port, host } = new URL(base);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    const answers = new AnswerParser(all.map(({ reader }) => reader));
    socket.setTimeout(patienceMs, () => socket.destroy());
    // Refused, reset or cut: what was received before counts.
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.on('data', (bytes) => answers.feed(bytes) && socket.destroy());
    for (const { path, body } of all) write(socket, { path, body, host });
  });
}

function write(
  socket: Socket,
  { path, body, host }: { readonly path: string; readonly body: string; readonly host: string },
): void {
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** Parses consecutive answers, with a chunked body or a length. */
class AnswerParser {
  readonly #readers: readonly Reader[];
  #at = 0;
  #bytes = Buffer.alloc(0);
  /** Remaining bytes of the body or chunk; `chunked` between two chunks, `undefined` before the head. */
  #left: number | 'chunked' | undefined;
  #isChunked = false;

  constructor(readers: readonly Reader[]) {
    this.#readers = readers;
  }

  /** True when the last answer is whole. */
  feed(bytes: Buffer): boolean {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#step());
    return this.#at >= this.#readers.length;
  }

  /** False when more bytes are needed. */
  #step(): boolean {
    const reader = this.#readers[this.#at];
    if (reader === undefined) return false;
    if (this.#left === undefined) return this.#readHead(reader);
    if (this.#left === 'chunked') return this.#readSize();
    return this.#readBody(reader, this.#left);
  }

  #readHead(reader: Reader): boolean {
    // The empty line after the last chunk of the previous answer.
    if (this.#bytes.toString('latin1', 0, 2) === '\r\n') this.#bytes = this.#bytes.subarray(2);
    const line = this.#takeThrough('\r\n\r\n');
    if (line === undefined) return false;
    const [first = '', ...rest] = line.split('\r\n');
    const headers = new Map(
      rest.map((text) => {
        const colon = text.indexOf(':');
        return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()] as const;
      }),
    );
    reader.head(Number(first.split(' ')[1]), (name) => headers.get(name));
    this.#isChunked = headers.get('transfer-encoding') === 'chunked';
    this.#left = this.#isChunked ? 'chunked' : Number(headers.get('content-length') ?? 0);
    if (this.#left === 0) this.#next();
    return true;
  }

  #readSize(): boolean {
    const line = this.#takeThrough('\r\n');
    if (line === undefined) return false;
    // The line break after the previous chunk.
    if (line === '') return true;
    this.#left = Number.parseInt(line, 16);
    if (this.#left > 0) return true;
    this.#next();
    return true;
  }

  #readBody(reader: Reader, left: number): boolean {
    if (this.#bytes.length === 0) return false;
    const taken = this.#bytes.subarray(0, left);
    this.#bytes = this.#bytes.subarray(taken.length);
    reader.body(taken);
    this.#left = left - taken.length;
    if (this.#left > 0) return true;
    if (this.#isChunked) this.#left = 'chunked';
    else this.#next();
    return true;
  }

  #next(): void {
    this.#left = undefined;
    this.#isChunked = false;
    this.#at += 1;
  }

  #takeThrough(end: string): string | undefined {
    const at = this.#bytes.indexOf(end);
    if (at < 0) return undefined;
    const text = this.#bytes.toString('latin1', 0, at);
    this.#bytes = this.#bytes.subarray(at + end.length);
    return text;
  }
}
