/**
 * A segment: one file of records, and what the writer knows about it. Its name carries its number and its salt, so
 * that the file needs no header that could be damaged: an empty file is a valid segment.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

/** A segment of the running process. `Tenant` is the log of a stream; it is not named here. */
export interface Segment<Tenant> {
  readonly number: number;
  readonly salt: number;
  readonly path: string;
  readonly fd: number;
  /** Bytes of whole records. What lies behind them, if anything, is nothing. */
  size: number;
  /** Bytes of records that somebody still needs. */
  live: number;
  /** Whose records they are. */
  readonly tenants: Set<Tenant>;
  /** Written since the last fsync that worked. */
  dirty: boolean;
  /** What is in it is not relied on: an fsync failed, or its tail is torn. */
  suspect: boolean;
  /** The write that moved the last record out of it: the file may go when that write is durable. */
  movedAt: number;
}

/** Part of a segment that one log fills. */
export interface Extent<Tenant> {
  readonly segment: Segment<Tenant>;
  bytes: number;
}

/** Where one record begins. */
export interface Place<Tenant> {
  readonly segment: Segment<Tenant>;
  readonly position: number;
}

/** A segment's file name. */
export interface SegmentName {
  readonly number: number;
  readonly salt: number;
  readonly name: string;
}

/** A fresh name for segment `number`, with a new salt. */
export function segmentName(number: number): SegmentName {
  const salt = randomBytes(4).readUInt32LE(0);
  const name = `${String(number).padStart(8, '0')}-${salt.toString(16).padStart(8, '0')}.log`;
  return { number, salt, name };
}

/** Reads a file name; `undefined` when it is no segment's. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const found = /^(\d{8,10})-([0-9a-f]{8})\.log$/.exec(name);
  if (found?.[1] === undefined || found[2] === undefined) return undefined;
  return { number: Number(found[1]), salt: Number.parseInt(found[2], 16), name };
}

/** The full path of a segment in a directory. */
export function segmentPath(directory: string, { name }: SegmentName): string {
  return join(directory, name);
}
