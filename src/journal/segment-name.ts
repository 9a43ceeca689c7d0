/**
 * The file name of a segment. It carries the segment's number and its salt, so that the file needs no header that could
 * be damaged: an empty file is a valid segment. Older versions called it `.log`, which cleaners of logs delete.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

/** What a segment's file name says. */
export interface SegmentName {
  readonly number: number;
  readonly salt: number;
  readonly name: string;
}

/** A fresh name for segment `number`, with a new salt. */
export function newSegmentName(number: number): SegmentName {
  const salt = randomBytes(4).readUInt32LE(0);
  const name = `${String(number).padStart(8, '0')}-${salt.toString(16).padStart(8, '0')}.segment`;
  return { number, salt, name };
}

/** Reads a file name; `undefined` when it is no segment's. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const found = /^(\d{8,10})-([0-9a-f]{8})\.(?:segment|log)$/.exec(name);
  if (found?.[1] === undefined || found[2] === undefined) return undefined;
  return { number: Number(found[1]), salt: Number.parseInt(found[2], 16), name };
}

/** The full path of a segment in a directory. */
export function segmentPath(directory: string, { name }: SegmentName): string {
  return join(directory, name);
}
