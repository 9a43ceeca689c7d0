/**
 * Runs scripts over one link to the server. A link that does not answer in time is closed and never used again, so that no commands
 * accumulate in it; the next call opens a new link.
 */
import { createHash } from 'node:crypto';
import { systemClock } from '../core/clock.ts';
import { markSayable, unwrapAggregate } from '../core/error-words.ts';
import { LastchunkError } from '../core/errors.ts';
import type { MakeLink, RedisArgument, RedisLink } from './client.ts';
import { LAYOUT, SCRIPTS } from './scripts.ts';

/** Time limits, in milliseconds. */
export interface RedisTimeouts {
  readonly connectTimeoutMs: number;
  readonly commandTimeoutMs: number;
}

/** One connection of a relay, opened by the first call. */
export class RedisConnection {
  readonly #makeLink: MakeLink;
  /** The prefix of all keys in braces, which makes it their hash tag. */
  readonly #root: string;
  readonly #timeouts: RedisTimeouts;
  #link: RedisLink | undefined;
  #opening: Promise<RedisLink> | undefined;
  #isClosed = false;

  constructor(makeLink: MakeLink, root: string, timeouts: RedisTimeouts) {
    this.#makeLink = makeLink;
    this.#root = root;
    this.#timeouts = timeouts;
  }

  /** Runs a script, in one round trip where the server has it cached. Rejects with an error whose message contains no argument. */
  async run(name: keyof typeof SCRIPTS, args: readonly RedisArgument[]): Promise<unknown> {
    const text = SCRIPTS[name];
    const rest = ['1', this.#root, LAYOUT, ...args];
    const link = await this.#usable();
    try {
      return await this.#send(link, ['EVALSHA', DIGESTS.get(text) ?? '', ...rest]);
    } catch (error) {
      if (wordOf(error) !== 'NOSCRIPT') throw this.#explain(link, error);
    }
    try {
      return await this.#send(link, ['EVAL', text, ...rest]);
    } catch (error) {
      throw this.#explain(link, error);
    }
  }

  /** Sends one command that is no script. Rejects as `run` does. */
  async ask(command: readonly RedisArgument[]): Promise<unknown> {
    const link = await this.#usable();
    try {
      return await this.#send(link, command);
    } catch (error) {
      throw this.#explain(link, error);
    }
  }

  /** Closes the link; calls without an answer reject. */
  close(): void {
    this.#isClosed = true;
    this.#link?.drop();
    this.#link = undefined;
  }

  async #usable(): Promise<RedisLink> {
    if (this.#isClosed) throw closedError();
    if (this.#link?.isUsable === true) return this.#link;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<RedisLink> {
    this.#link?.drop();
    this.#link = undefined;
    const { connectTimeoutMs } = this.#timeouts;
    let last: unknown;
    const link = this.#makeLink((error) => (last = error));
    try {
      await inTime(link.open(), connectTimeoutMs, 'no connection');
    } catch (error) {
      link.drop();
      // `ioredis` rejects with "closed"; its `error` event has the cause.
      throw explainError(last ?? error);
    }
    if (this.#isClosed) {
      link.drop();
      throw closedError();
    }
    this.#link = link;
    return link;
  }

  #send(link: RedisLink, command: readonly RedisArgument[]): Promise<unknown> {
    return inTime(link.send(this.#root, command), this.#timeouts.commandTimeoutMs, 'no answer');
  }

  /** The error with a message of ours. Closes a link that did not answer, or whose server cannot be written to. */
  #explain(link: RedisLink, error: unknown): Error {
    const word = wordOf(error);
    if ((word === undefined || ELSEWHERE.has(word)) && this.#link === link) {
      link.drop();
      this.#link = undefined;
    }
    return explainError(error);
  }
}

/** The SHA-1 digest of each script, by which EVALSHA selects it. */
const DIGESTS = new Map(
  Object.values(SCRIPTS).map((text) => [text, createHash('sha1').update(text).digest('hex')]),
);

/** Error codes of a server that accepts no writes now; another server may. */
const ELSEWHERE = new Set(['READONLY', 'MASTERDOWN', 'LOADING', 'CLUSTERDOWN', 'NOREPLICAS']);

/** Explanations of error replies, by their error code (redis.io/docs/latest/develop/reference/protocol-spec). */
const MEANINGS: Readonly<Record<string, string>> = {
  READONLY: 'it takes no writes, as a replica does',
  MASTERDOWN: 'it is a replica that has lost its primary',
  NOREPLICAS: 'it takes no writes while it has too few replicas',
  LOADING: 'it reads its data from disk',
  CLUSTERDOWN: 'its cluster has no node for the keys of the relay',
  OOM: 'it is full: `maxmemory` is reached',
  MISCONF: 'it takes no writes because it cannot write its data to disk',
  BUSY: 'another script runs for too long',
  NOAUTH: 'it wants a password',
  WRONGPASS: 'it refuses user or password',
  NOPERM: 'the user may not run this command, or has no right to the keys of the relay',
  WRONGTYPE: 'a key of the relay holds something else: give another `prefix`',
  LASTCHUNK_LAYOUT:
    'the keys of the relay are of another version of lastchunk: give another `prefix`, or stop the other version',
};

/** An error reply begins with a code in capitals; for an error inside a script Redis 6 writes its own text before the code. */
const REFUSAL = /^(?:ERR Error running script .*?-)?([A-Z][A-Z0-9_]{2,63})\b/s;

/** The code of an error reply; `undefined` where the error is not a reply. */
function wordOf(error: unknown): string | undefined {
  return error instanceof Error ? REFUSAL.exec(error.message)?.[1] : undefined;
}

/** An error with a message of ours: errors of drivers contain the arguments of the command, which are text of users. */
function explainError(thrown: unknown): Error {
  const error = unwrapAggregate(thrown);
  if (error instanceof LastchunkError || !(error instanceof Error)) return asError(error);
  const word = wordOf(error);
  if (word !== undefined) {
    const meaning = MEANINGS[word] ?? 'it answers with an error';
    return named(word, `the engine of the relay refuses (${word}): ${meaning}`);
  }
  // Created by `named`, or by a socket, so it contains no argument.
  if (error.stack === undefined || 'syscall' in error) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'CLOSED';
  return named(code, 'the connection to the engine of the relay is closed');
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error('the engine of the relay cannot be reached');
}

/** Without a stack, which would show only this file. */
function named(code: string, message: string): Error {
  return markSayable(Object.assign(new Error(message), { code, stack: undefined }));
}

function inTime<T>(work: Promise<T>, ms: number, words: string): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = systemClock.after(ms, () => {
      reject(named('ETIMEDOUT', `${words} from the engine of the relay within ${ms} ms`));
    });
    work.then(resolve, reject).finally(cancel);
  });
}

/** The error of a call after `close()`. */
export function closedError(): LastchunkError {
  return new LastchunkError('closed', 'the Redis relay is closed');
}
