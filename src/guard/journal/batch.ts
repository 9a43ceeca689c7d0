/**
 * The records of one tick, in one reused buffer, and their way to the disk: one `writeSync` at a known position.
 * A batch is whole or it is nothing: after a failed write the file is cut back to where the batch began.
 */
import { performance } from 'node:perf_hooks';
import type { Condition } from './condition.ts';
import { troubleOf } from './condition.ts';
import type { Files } from './files.ts';
import type { Log } from './log.ts';
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
  const { segments } = options;
  const state = newState();

  return {
    put(log, kind, payload, offset = log.offset) {
      if (state.broken) return -1;
      try {
        state.target ??= segments.current();
      } catch (error) {
        breakUp(options, state, error);
        return -1;
      }
      const { target } = state;
      state.lastSegment = target;
      state.lastPosition = target.size + state.fill;
      const { head } = state;
      head.kind = kind;
      head.stream = log.number;
      head.offset = offset;
      const bytes = encode(state, payload, target.salt);
      segments.charge(log, target, HEADER_BYTES + bytes);
      if (state.fill < WRITE_AT_BYTES) return bytes;
      return writeOut(options, state) ? bytes : -1;
    },
    finish() {
      writeOut(options, state);
      const whole = !state.broken;
      state.broken = false;
      return whole;
    },
    lastPlace: () =>
      state.lastSegment && { segment: state.lastSegment, position: state.lastPosition },
    get writes() {
      return state.writes;
    },
    takeSpentMs() {
      const spent = state.spentMs;
      state.spentMs = 0;
      return spent;
    },
  };
}

interface State {
  buffer: Buffer;
  fill: number;
  /** A write failed; nothing is taken until `finish` has said so. */
  broken: boolean;
  target: Segment<Log> | undefined;
  lastSegment: Segment<Log> | undefined;
  lastPosition: number;
  readonly head: RecordHead;
  writes: number;
  slowWrites: number;
  spentMs: number;
}

function newState(): State {
  return {
    buffer: Buffer.allocUnsafeSlow(START_BYTES),
    fill: 0,
    broken: false,
    target: undefined,
    lastSegment: undefined,
    lastPosition: 0,
    head: { kind: KIND.open, stream: 0, offset: 0, payloadBytes: 0 },
    writes: 0,
    slowWrites: 0,
    spentMs: 0,
  };
}

function encode(state: State, payload: string | Uint8Array, salt: number): number {
  // A UTF-16 unit takes three bytes of UTF-8 at most.
  const most = typeof payload === 'string' ? payload.length * 3 : payload.length;
  makeRoom(state, HEADER_BYTES + most);
  const { buffer, head, fill } = state;
  const payloadAt = fill + HEADER_BYTES;
  let bytes = payload.length;
  if (typeof payload === 'string') bytes = buffer.write(payload, payloadAt);
  else buffer.set(payload, payloadAt);
  head.payloadBytes = bytes;
  seal(buffer, fill, head, salt);
  state.fill = payloadAt + bytes;
  return bytes;
}

function makeRoom(state: State, bytes: number): void {
  const { buffer, fill } = state;
  if (buffer.length - fill >= bytes) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, fill + bytes));
  buffer.copy(larger, 0, 0, fill);
  state.buffer = larger;
}

/** False when the write failed. */
function writeOut(options: BatchOptions, state: State): boolean {
  const { target: segment, fill } = state;
  if (fill === 0 || segment === undefined) return true;
  const before = performance.now();
  try {
    writeFully(options.files, segment, state.buffer, fill);
  } catch (error) {
    if (!cutBack(options, segment)) options.onTornSegment(segment);
    breakUp(options, state, error);
    return false;
  }
  options.segments.grew(fill);
  state.fill = 0;
  state.target = undefined;
  state.writes++;
  options.onWrote();
  noteSpeed(options.condition, state, performance.now() - before);
  return true;
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

function breakUp({ condition, onError }: BatchOptions, state: State, error: unknown): void {
  state.broken = true;
  state.fill = 0;
  state.target = undefined;
  onError(error);
  condition.block(troubleOf(error));
}

function noteSpeed(condition: Condition, state: State, ms: number): void {
  state.spentMs += ms;
  state.slowWrites = ms > SLOW_WRITE_MS ? state.slowWrites + 1 : 0;
  if (state.slowWrites < SLOW_STRIKES) return;
  state.slowWrites = 0;
  condition.block('slow');
}
