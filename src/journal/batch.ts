/**
 * The records of one tick, in one reused buffer, and their way to the disk: one `writeSync` at a known position.
 * A batch is whole or it is nothing: after a failed write the file is cut back to where the batch began.
 */
import { performance } from 'node:perf_hooks';
import type { Condition } from './degraded.ts';
import { troubleOf } from './degraded.ts';
import type { Files } from './files.ts';
import type { Log } from './stream-log.ts';
import { HEADER_BYTES, KIND, seal } from './record.ts';
import type { Kind, RecordHead } from './record.ts';
import type { Place, Segment } from './segment.ts';
import type { Segments } from './segments.ts';

/** The buffer begins small; a batch is written when it has so many bytes. */
const START_BYTES = 64 * 1024;
const WRITE_AT_BYTES = 256 * 1024;

/** A write that took longer is slow; so many in a row and the disk is left alone. */
const SLOW_WRITE_MS = 50;
const SLOW_STRIKES = 3;

export interface Batch {
  /**
   * Adds a record of `log`, at the log's offset unless another is given; returns the bytes of its payload, or -1 when the batch is broken. May
   * write out what was added before. A payload must fit into one record.
   */
  put(log: Log, kind: Kind, payload: string | Uint8Array, offset?: number): number;
  /** Writes what is there. False when this or an earlier write since the last call failed. */
  finish(): boolean;
  /** Where the record put last begins. */
  lastPlace(): Place<Log> | undefined;
  /** Counts the writes that worked; moves before `put` returns when that wrote out. */
  readonly writes: number;
  /** Milliseconds spent in writes since this was last asked. */
  takeSpentMs(): number;
}

export interface BatchOptions {
  readonly files: Files;
  readonly segments: Segments;
  readonly condition: Condition;
  readonly onError: (error: unknown) => void;
  /** After a write that worked. */
  readonly onWrote: () => void;
  /** A segment whose tail could not be cut: its logs have to be written again. */
  readonly onTornSegment: (segment: Segment<Log>) => void;
}

export function createBatch(options: BatchOptions): Batch {
  return new TickBatch(options);
}

/** A class, because it is used at every tick, and an accessor of an object literal is a slow one. */
class TickBatch implements Batch {
  writes = 0;
  readonly #options: BatchOptions;
  /** Filled again for each record. */
  readonly #head: RecordHead = { kind: KIND.open, stream: 0, offset: 0, payloadBytes: 0 };
  #buffer = Buffer.allocUnsafeSlow(START_BYTES);
  #fill = 0;
  /** A write failed; nothing is taken until `finish` has said so. */
  #broken = false;
  #target: Segment<Log> | undefined;
  #lastSegment: Segment<Log> | undefined;
  #lastPosition = 0;
  #slowWrites = 0;
  #spentMs = 0;

  constructor(options: BatchOptions) {
    this.#options = options;
  }

  put(log: Log, kind: Kind, payload: string | Uint8Array, offset = log.offset): number {
    if (this.#broken) return -1;
    const { segments } = this.#options;
    try {
      this.#target ??= segments.current();
    } catch (error) {
      this.#breakUp(error);
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

  finish(): boolean {
    this.#writeOut();
    const whole = !this.#broken;
    this.#broken = false;
    return whole;
  }

  lastPlace(): Place<Log> | undefined {
    const segment = this.#lastSegment;
    return segment && { segment, position: this.#lastPosition };
  }

  takeSpentMs(): number {
    const spent = this.#spentMs;
    this.#spentMs = 0;
    return spent;
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
      this.#breakUp(error);
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

  #breakUp(error: unknown): void {
    const { condition, onError } = this.#options;
    this.#broken = true;
    this.#fill = 0;
    this.#target = undefined;
    onError(error);
    condition.block(troubleOf(error));
  }

  #noteSpeed(ms: number): void {
    this.#spentMs += ms;
    this.#slowWrites = ms > SLOW_WRITE_MS ? this.#slowWrites + 1 : 0;
    if (this.#slowWrites < SLOW_STRIKES) return;
    this.#slowWrites = 0;
    this.#options.condition.block('slow');
  }
}

/** `writeSync` may write less than asked and say nothing; it throws at the next call when the disk is full. */
function writeFully(files: Files, segment: Segment<Log>, bytes: Buffer, length: number): void {
  let done = 0;
  while (done < length) {
    const range = { from: done, length: length - done, position: segment.size + done };
    const written = files.write(segment.fd, bytes, range);
    if (written <= 0) throw new Error('a write to the journal wrote nothing');
    done += written;
  }
}

/** Takes a half-written batch away; false when even that fails. */
function cutBack({ files, onError }: BatchOptions, segment: Segment<Log>): boolean {
  try {
    files.truncate(segment.fd, segment.size);
    return true;
  } catch (error) {
    onError(error);
    return false;
  }
}
