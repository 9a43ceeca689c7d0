/**
 * A segment after the others in a taken directory, which records what was settled or read of its streams. It is created with the first
 * record.
 */
import { closeSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { HEADER_BYTES, KIND, seal } from '../record.ts';
import type { RecordHead } from '../record.ts';
import { newSegmentName, parseSegmentName, segmentPath } from '../segment-name.ts';
import type { IndexedStream } from './stream-index.ts';

interface OpenSegment {
  readonly fd: number;
  readonly salt: number;
  readonly path: string;
  size: number;
}

export class Settlements {
  readonly #directory: string;
  #segment: OpenSegment | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Records that everything of a stream is settled. Throws the error of the file system. */
  add({ number: stream, bodyEnd: offset, revision }: IndexedStream): void {
    const payload = Buffer.alloc(4);
    payload.writeInt32LE(revision, 0);
    this.#write({ kind: KIND.settled, stream, offset, payloadBytes: 4 }, payload);
  }

  /** Records that a stream is about to be read, or was read. Throws the error of the file system. */
  noteReading({ number: stream }: IndexedStream, kind: 'reading' | 'wasRead'): void {
    this.#write({ kind: KIND[kind], stream, offset: 0, payloadBytes: 0 }, Buffer.alloc(0));
  }

  #write(head: RecordHead, payload: Buffer): void {
    const to = (this.#segment ??= create(this.#directory));
    const record = Buffer.concat([Buffer.alloc(HEADER_BYTES), payload]);
    seal(record, 0, head, to.salt);
    to.size += writeSync(to.fd, record, 0, record.length, to.size);
  }

  close(): void {
    const segment = this.#segment;
    this.#segment = undefined;
    if (segment !== undefined) closeSync(segment.fd);
  }

  /** Closes and deletes it: all segments that it refers to are deleted. */
  remove(): void {
    const segment = this.#segment;
    this.close();
    if (segment !== undefined) rmSync(segment.path, { force: true });
  }
}

function create(directory: string): OpenSegment {
  const numbers = readdirSync(directory).map((name) => parseSegmentName(name)?.number ?? 0);
  const name = newSegmentName(Math.max(0, ...numbers) + 1);
  const path = segmentPath(directory, name);
  return { fd: openSync(path, 'wx', 0o600), salt: name.salt, path, size: 0 };
}
