/**
 * Requests of an operator to a living owner, through the socket in its directory: one line of JSON in each direction. The mode of the
 * directory lets only our own user reach the socket. A connection that sends nothing is a liveness check.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { isObject } from '../../core/values.ts';
import { readOwner, shortPath } from './liveness.ts';

/** The longest request, in characters; a longer one closes the connection. */
const REQUEST_BYTES = 64 * 1024;

/** A connection that sends nothing for this long is closed. */
const IDLE_MS = 5_000;

/** Time limit for an answer: an owner may have to scan a gigabyte. */
const ANSWER_TIMEOUT_MS = 120_000;

/** Answers the one request of a connection. A rejection of `answer` is sent as `{ error: code }`. */
export function answerRequest(peer: Socket, answer: (request: object) => Promise<object>): void {
  let line = '';
  let isAsked = false;
  const end = (reply: object): void => void peer.end(`${JSON.stringify(reply)}\n`);
  // The connection does not keep the process alive. An error on it is ignored here: the operator gets no answer and reports that.
  peer.unref().setEncoding('utf8');
  peer.on('error', () => peer.destroy());
  peer.setTimeout(IDLE_MS, () => isAsked || peer.destroy());
  peer.on('data', (more: string) => {
    if (isAsked) return;
    line += more;
    if (line.length > REQUEST_BYTES) peer.destroy();
    if (!line.endsWith('\n')) return;
    isAsked = true;
    const request = parseObject(line);
    if (request === undefined) end({ error: 'ERR_REQUEST' });
    else answer(request).then(end, (error: unknown) => end({ error: codeOf(error) }));
  });
}

/** Sends a request to the owner of a directory. Rejects where the owner cannot be reached, or does not answer. */
export async function askOwner(directory: string, request: object): Promise<object> {
  const socket = readOwner(directory)?.socket;
  if (typeof socket !== 'string') throw new Error('it has no socket');
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  try {
    const reply = await exchange(shortPath(fd, socket) ?? join(directory, socket), request);
    const answer = parseObject(reply);
    if (answer === undefined) throw new Error('it gave no answer; it may be of an older version');
    if ('error' in answer) throw new Error(`it failed (${String(answer.error)})`);
    return answer;
  } finally {
    closeSync(fd);
  }
}

function exchange(path: string, request: object): Promise<string> {
  return new Promise((resolve, reject) => {
    let reply = '';
    const socket = connect(path, () => socket.write(`${JSON.stringify(request)}\n`));
    socket.setEncoding('utf8').setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy());
    socket.on('data', (more: string) => {
      reply += more;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(reply));
  });
}

function parseObject(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    // Truncated, or not JSON.
    return undefined;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'ERR_INTERNAL';
}
