/**
 * Messages that the store can never take, one JSON file each, kept until an operator sends them again or drops them.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Message } from '../core/message.ts';
import { isObject } from '../core/values.ts';

/** What an operator is told about a refused message: never its text. */
export interface RefusedInfo {
  /** The message's id. */
  readonly id: string;
  readonly sqlstate: string;
  /** Epoch milliseconds. */
  readonly refusedAtMs: number;
  /** Of the file. */
  readonly bytes: number;
}

interface RefusedFile {
  readonly sqlstate: string;
  readonly refusedAtMs: number;
  readonly message: Message;
}

/** Writes a refused message and returns when it is on the disk. Rejects with what the disk says. */
export async function writeRefused(
  path: string,
  message: Message,
  sqlstate: string,
): Promise<void> {
  const directory = refusedDirectory(path);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const target = fileOf(path, message.id);
  const file = await open(`${target}.tmp`, 'w', 0o600);
  try {
    const content: RefusedFile = { sqlstate, refusedAtMs: Date.now(), message };
    await file.writeFile(JSON.stringify(content));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${target}.tmp`, target);
  const entries = await open(directory, 'r');
  try {
    await entries.sync();
  } finally {
    await entries.close();
  }
}

/** The refused messages under a journal's path, oldest first. Files that are not ours are passed over. */
export function listRefused(path: string): readonly RefusedInfo[] {
  return names(path)
    .flatMap((name) => {
      const file = join(refusedDirectory(path), name);
      const content = readFile(file);
      if (content === undefined) return [];
      const { sqlstate, refusedAtMs, message } = content;
      return [{ id: message.id, sqlstate, refusedAtMs, bytes: statSync(file).size }];
    })
    .sort((a, b) => a.refusedAtMs - b.refusedAtMs);
}

/** One refused message, whole; `undefined` when there is none with this id. */
export function readRefused(path: string, id: string): Message | undefined {
  return readFile(fileOf(path, id))?.message;
}

/** Removes a refused message; false when there is none with this id. */
export function dropRefused(path: string, id: string): boolean {
  const file = fileOf(path, id);
  if (readFile(file) === undefined) return false;
  rmSync(file);
  return true;
}

function refusedDirectory(path: string): string {
  return join(path, 'refused');
}

/** An id may be anything that an app chose, so it is not a file name; its hash is. */
function fileOf(path: string, id: string): string {
  return join(refusedDirectory(path), `${createHash('sha256').update(id).digest('hex')}.json`);
}

function names(path: string): readonly string[] {
  try {
    return readdirSync(refusedDirectory(path)).filter((name) => name.endsWith('.json'));
  } catch {
    // Nothing was ever refused here.
    return [];
  }
}

function readFile(file: string): RefusedFile | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    if (!isRefusedFile(value)) return undefined;
    const { message } = value;
    // Dates are strings in JSON.
    const [startedAt, endedAt] = [new Date(message.startedAt), new Date(message.endedAt)];
    return { ...value, message: { ...message, startedAt, endedAt } };
  } catch {
    // Absent, or not ours.
    return undefined;
  }
}

/** Written by `writeRefused`, so that what stands inside the message is a message. */
function isRefusedFile(value: unknown): value is RefusedFile {
  if (!isObject(value) || !('sqlstate' in value) || !('message' in value)) return false;
  return isObject(value.message) && 'id' in value.message;
}
