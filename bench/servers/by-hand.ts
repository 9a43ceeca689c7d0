/**
 * The least that anybody could do in our place: bytes counted, two needles looked for, strings kept, and, with a file,
 * one bare write of what came in a tick before Node lets it go. No checksum, no stream told from another, nothing
 * that could be read again. What a guard costs beyond this is ours; what this costs is what was asked for.
 */
import { Buffer } from 'node:buffer';
import { mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { RequestHandler } from 'express';

/** The file is written over from the start when it is so long. */
const FILE_BYTES = 4 * 1024 * 1024;

/** Middleware that does it; `directory` is for the file, and without one nothing is written. */
export function byHand(directory?: string): RequestHandler {
  const log = directory === undefined ? undefined : logIn(directory);
  return (_req, res, next) => {
    const write = res.write.bind(res) as (...args: unknown[]) => boolean;
    const kept: string[] = [];
    let bytes = 0;
    let endings = 0;
    res.write = (chunk: unknown, ...rest: unknown[]) => {
      const text = String(chunk);
      bytes += Buffer.byteLength(text);
      if (text.includes('[DONE]') || text.includes('"finish_reason":"')) endings += 1;
      kept.push(text);
      log?.(text);
      return write(chunk, ...rest);
    };
    res.once('finish', () => {
      if (endings === 0 || kept.join('').length > bytes) throw new Error('not what was written');
    });
    next();
  };
}

function logIn(directory: string): (text: string) => void {
  mkdirSync(directory, { recursive: true });
  const file = openSync(join(directory, 'bare'), 'w');
  let waiting = '';
  let at = 0;
  const flush = (): void => {
    at = (at + writeSync(file, Buffer.from(waiting), 0, undefined, at)) % FILE_BYTES;
    waiting = '';
  };
  return (text) => {
    if (waiting === '') process.nextTick(flush);
    waiting += text;
  };
}
