/**
 * Collects the records of one tick in one reused buffer, and writes them with one `writeSync` at a known position.
 * A batch is written whole or not at all: after a failed write the file is truncated to where the batch began.
 */
import { performance } from 'node:perf_hooks';
import type { Files } from '../fs.ts';
import { HEADER_BYTES, KIND, seal } from '../record.ts';
import type { Kind, RecordHead } from '../record.ts';
import { reasonOf } from './degraded.ts';
import type { JournalHealth } from './degraded.ts';
import type { Segments } from './segments.ts';
import { Log } from './stream-log.ts';
import type { LogHost, RecordPlace, Segment } from './stream-log.ts';

/** The initial size of the buffer, and the size at which a batch is written. */
const START_BYTES = 64 * 1024;
const WRITE_AT_BYTES = 256 * 1024;

/** A write that takes longer than `SLOW_WRITE_MS` is slow; after `SLOW_STRIKES` slow writes in a row the journal degrades as `slow`. */
const SLOW_WRITE_MS = 50;
const SLOW_STRIKES = 3;

/** The payload of a probe: one block of most file systems, so that a full disk refuses it. */
const PROBE = Buffer.alloc(4096);

export interface BatchOptions {
  readonly files: Files;
  readonly segments: Segments;
  readonly health: JournalHealth;
  readonly onError: (error: unknown) => void;
  /** Called after a successful write. */
  readonly onWrote: () => void;
  /** The end of a segment could not be truncated after a failed write: its logs have to be written again. */
  readonly onTornSegment: (segment: Segment) => void;
}

/** A class, because it is used at every tick, and an accessor of an object literal is slow. */
export class Batch {
  /** Number of successful writes; increases before `put` returns, where that wrote out. */
  writes = 0;
  readonly #options: BatchOptions;
  /** Filled again for each record. */
  readonly #head: RecordHead = { kind: KIND.open, stream: 0, offset: 0, payloadBytes: 0 };
  #buffer = Buffer.allocUnsafeSlow(START_BYTES);
  #fill = 0;
  /** A write failed; `put` returns -1 until `finish` has reported it. */
  #failed = false;
  #target: Segment | undefined;
  #lastSegment: Segment | undefined;
  #lastPosition = 0;
  #slowWrites = 0;
  #spentMs = 0;

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  /**
   * Adds a record of `log`, at the log's offset unless another is given; returns the bytes of its payload, or -1 when
   * the batch has failed. May write out what was added before. A payload must fit into one record.
   */
  put(log: Log, kind: Kind, payload: string | Uint8Array, offset = log.offset): number {
    if (this.#failed) return -1;
    const { segments } = this.#options;
    try {
      this.#target ??= segments.current();
    } catch (error) {
      this.#fail(error);
      return -1;
    }
    const target = this.#target;
    this.#lastSegment = target;
    this.#lastPosition = target.size + this.#fill;
    this.#head.kind = kind;
    this.#head.stream = log.number;
    this.#head.offset = offset;
    const bytes = this.#encode(payload, target.salt);
    segments.charge(log, target, HEADER_BYTES + bytes);
    if (this.#fill < WRITE_AT_BYTES) return bytes;
    return this.#writeOut() ? bytes : -1;
  }

  /** Writes what was added. False when this or an earlier write since the last call failed. */
  finish(): boolean {
    this.#writeOut();
    const whole = !this.#failed;
    this.#failed = false;
    return whole;
  }

  /** Where the last added record begins. */
  lastPlace(): RecordPlace | undefined {
    const segment = this.#lastSegment;
    return segment && { segment, position: this.#lastPosition };
  }

  /** Milliseconds spent in writes since the last call. */
  takeSpentMs(): number {
    const spent = this.#spentMs;
    this.#spentMs = 0;
    return spent;
  }

  /**
   * Writes and fsyncs a probe record, to test whether the disk works. False when the write failed or was slow; health is blocked then.
   * Rejects when the fsync fails.
   */
  async probeDisk(): Promise<boolean> {
    const { segments, health, files } = this.#options;
    const log = new Log(NO_HOST, {
      number: 0,
      openFacts: undefined,
      body: { pieces: [] },
      ahead: false,
    });
    this.put(log, KIND.probe, PROBE);
    const place = this.lastPlace();
    const written = this.finish();
    segments.releaseAll(log);
    if (!written || place === undefined) return false;
    if (this.takeSpentMs() > SLOW_WRITE_MS) {
      health.block('slow');
      return false;
    }
    await files.sync(place.segment.fd);
    return true;
  }

  #encode(payload: string | Uint8Array, salt: number): number {
    // A UTF-16 unit takes three bytes of UTF-8 at most.
    const most = typeof payload === 'string' ? payload.length * 3 : payload.length;
    const from = this.#fill;
    const payloadAt = from + HEADER_BYTES;
    if (this.#buffer.length < payloadAt + most) this.#enlarge(payloadAt + most);
    const buffer = this.#buffer;
    let bytes = payload.length;
    if (typeof payload === 'string') bytes = buffer.write(payload, payloadAt);
    else buffer.set(payload, payloadAt);
    this.#head.payloadBytes = bytes;
    seal(buffer, from, this.#head, salt);
    this.#fill = payloadAt + bytes;
    return bytes;
  }

  #enlarge(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, bytes));
    this.#buffer.copy(larger, 0, 0, this.#fill);
    this.#buffer = larger;
  }

  /** False when the write failed. */
  #writeOut(): boolean {
    const segment = this.#target;
    if (this.#fill === 0 || segment === undefined) return true;
    const { files, segments, onWrote, onTornSegment } = this.#options;
    const before = performance.now();
    try {
      writeFully(files, segment, this.#buffer, this.#fill);
    } catch (error) {
      if (!cutBack(this.#options, segment)) onTornSegment(segment);
      this.#fail(error);
      return false;
    }
    segments.grew(this.#fill);
    this.#fill = 0;
    this.#target = undefined;
    this.writes++;
    onWrote();
    this.#noteSpeed(performance.now() - before);
    return true;
  }

  #fail(error: unknown): void {
    const { health, onError } = this.#options;
    this.#failed = true;
    this.#fill = 0;
    this.#target = undefined;
    onError(error);
    health.block(reasonOf(error));
  }

  #noteSpeed(ms: number): void {
    this.#spentMs += ms;
    this.#slowWrites = ms > SLOW_WRITE_MS ? this.#slowWrites + 1 : 0;
    if (this.#slowWrites < SLOW_STRIKES) return;
    this.#slowWrites = 0;
    this.#options.health.block('slow');
  }
}

/** `writeSync` may write fewer bytes than requested without an error; on a full disk the next call throws. */
function writeFully(files: Files, segment: Segment, bytes: Buffer, length: number): void {
  let done = 0;
  while (done < length) {
    const range = { from: done, length: length - done, position: segment.size + done };
    const written = files.write(segment.fd, bytes, range);
    if (written <= 0) throw new Error('a write to the journal wrote nothing');
    done += written;
  }
}

/** Truncates a half-written batch; false when that fails too. */
function cutBack({ files, onError }: BatchOptions, segment: Segment): boolean {
  try {
    files.truncate(segment.fd, segment.size);
    return true;
  } catch (error) {
    onError(error);
    return false;
  }
}

/** The probe's log is never appended to. */
const NO_HOST: LogHost = {
  enqueue: () => {},
  flush: () => {},
  reopen: () => {},
  releaseBody: () => undefined,
  readBack: () => Promise.resolve([]),
  discard: () => {},
  close: () => {},
};
