/**
 * Messages that the store can never take, one JSON file for each stream. They are kept until an operator sends them again or drops
 * them, or until `SetAside` deletes them because of its limits.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Message } from '../../core/message.ts';
import { isMissing, isRecord } from '../../core/values.ts';
import { checkDirectory, readOurs, temporaryName } from '../ours.ts';

/** A refused message as shown to an operator, without its text. */
export interface RefusedInfo {
  /** The message's id. Two streams may have the same one. */
  readonly id: string;
  readonly streamId: string;
  readonly conversationId: string | null;
  readonly sqlstate: string;
  /** Names the store that refused it; `undefined` where the file does not name one. */
  readonly store: string | undefined;
  /** Epoch milliseconds. */
  readonly refusedAtMs: number;
  /** Bytes of the file. */
  readonly bytes: number;
}

/** A refused message that can be saved again. */
export interface RefusedMessage extends Pick<RefusedInfo, 'sqlstate' | 'store'> {
  /** The whole message; `undefined` when its file was deleted meanwhile. */
  read(): Message | undefined;
  /** The store has `message`: deletes its file, unless a later revision was refused meanwhile. Throws the error of the file system. */
  remove(message: Message): void;
}

interface RefusedFile {
  readonly sqlstate: string;
  /** Absent in files of older versions. */
  readonly store?: string | undefined;
  readonly refusedAtMs: number;
  readonly message: Message;
}

/** Writes a message that `store` has refused; resolves when the file is fsynced. Rejects with the error of the file system. */
export async function writeRefused(
  path: string,
  message: Message,
  sqlstate: string,
  store?: string,
): Promise<void> {
  const directory = refusedDirectory(path);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  checkDirectory(directory);
  const target = fileOf(path, message.streamId);
  const temporary = temporaryName(target);
  const file = await open(temporary, 'wx', 0o600);
  try {
    const content: RefusedFile = { sqlstate, store, refusedAtMs: Date.now(), message };
    await file.writeFile(JSON.stringify(content));
    await file.sync();
  } finally {
    await file.close();
  }
  // Synchronous, so that it cannot happen between the read and the deletion in `remove()`.
  renameSync(temporary, target);
  const entries = await open(directory, 'r');
  try {
    await entries.sync();
  } finally {
    await entries.close();
  }
}

/** The refused messages under a journal's path, oldest first. Files that are not ours are skipped. */
export function listRefused(path: string): readonly RefusedInfo[] {
  return readAll(path).map(({ file, content: { sqlstate, store, refusedAtMs, message } }) => {
    const { id, streamId, conversationId } = message;
    const bytes = statSync(file).size;
    return { id, streamId, conversationId, sqlstate, store, refusedAtMs, bytes };
  });
}

/** The refused messages under a journal's path, oldest first; `read` reads the file again. Throws as `listRefused` does. */
export function refusedMessages(path: string): readonly RefusedMessage[] {
  return readAll(path).map(({ file, content: { sqlstate, store } }) => ({
    sqlstate,
    store,
    read: () => readFile(file)?.message,
    remove({ revision }) {
      const now = readFile(file);
      if (now !== undefined && now.message.revision <= revision) rmSync(file, { force: true });
    },
  }));
}

/** Deletes the refused messages for which `isMeant` is true; returns how many. */
export function dropRefused(path: string, isMeant: (info: RefusedInfo) => boolean): number {
  const meant = new Set(listRefused(path).filter(isMeant));
  const streams = new Set([...meant].map(({ streamId }) => streamId));
  for (const { file, content } of readAll(path)) {
    if (streams.has(content.message.streamId)) rmSync(file, { force: true });
  }
  return meant.size;
}

function refusedDirectory(path: string): string {
  return join(path, 'refused');
}

/** The file of a stream. An app may choose any string as an id, so the file name is a hash of it. */
function fileOf(path: string, streamId: string): string {
  const name = createHash('sha256').update(streamId).digest('hex');
  return join(refusedDirectory(path), `${name}.json`);
}

/** Oldest first. */
function readAll(path: string): { file: string; content: RefusedFile }[] {
  return names(path)
    .flatMap((name) => {
      const file = join(refusedDirectory(path), name);
      const content = readFile(file);
      return content === undefined ? [] : [{ file, content }];
    })
    .sort((a, b) => a.content.refusedAtMs - b.content.refusedAtMs);
}

/** Throws `NotOursError` for a directory that other users may write to. */
function names(path: string): readonly string[] {
  const directory = refusedDirectory(path);
  try {
    checkDirectory(directory);
    return readdirSync(directory).filter((name) => name.endsWith('.json'));
  } catch (error) {
    // The directory is created with the first refused message.
    if (isMissing(error)) return [];
    throw error;
  }
}

function readFile(file: string): RefusedFile | undefined {
  try {
    const value: unknown = JSON.parse(readOurs(file));
    if (!isRefusedFile(value)) return undefined;
    const { message } = value;
    // Dates are strings in JSON.
    const [startedAt, endedAt] = [new Date(message.startedAt), new Date(message.endedAt)];
    return { ...value, message: { ...message, startedAt, endedAt } };
  } catch {
    // Absent, not ours, or not JSON.
    return undefined;
  }
}

/** Checks the fields that select and sort; `writeRefused` wrote the file, so the rest of the message is not checked. */
function isRefusedFile(value: unknown): value is RefusedFile {
  if (!isRecord(value) || !isRecord(value['message'])) return false;
  const { id, streamId } = value['message'];
  const words = [value['sqlstate'], id, streamId];
  return words.every((word) => typeof word === 'string') && Number.isFinite(value['refusedAtMs']);
}
