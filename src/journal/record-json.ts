/**
 * Serialises and parses the JSON of `open` and `end` records. A record with a correct checksum was written by lastchunk, perhaps by another
 * version; so missing fields get defaults, and nothing is refused.
 */
import { OUTCOMES } from '../core/message.ts';
import type { Outcome, Side } from '../core/message.ts';
import { openedFrom } from '../core/opened-stream.ts';
import type { OpenedStream } from '../core/save-port.ts';
import { isObject, toRecord } from '../core/values.ts';
import type { Ending } from './port.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What an open record says: the stream, the directory of the process that opened it, and the store that it is for. */
export interface OpenFacts {
  readonly stream: OpenedStream;
  readonly instance: string;
  /** `undefined` where the store has no name. */
  readonly store: string | undefined;
}

/** The JSON of an open record. What JSON cannot hold is left out rather than losing the stream. */
export function openJson({ stream, instance, store }: OpenFacts): string {
  const facts = { ...stream, instance, store };
  return json(facts) ?? JSON.stringify({ ...facts, metadata: null });
}

/** The JSON of an end record: the ending, its dates as epoch milliseconds. */
export function endJson(ending: Ending): string {
  const plain = {
    ...ending,
    startedAt: ending.startedAt.getTime(),
    endedAt: ending.endedAt.getTime(),
  };
  return json(plain) ?? JSON.stringify({ ...plain, metadata: null });
}

/** JSON records are bounded like all others; a larger `metadata` would be dropped by the store as well. */
const MAX_JSON_CHARACTERS = 256 * 1024;

function json(value: object): string | undefined {
  try {
    const text = JSON.stringify(value);
    return text.length > MAX_JSON_CHARACTERS ? undefined : text;
  } catch {
    // A metadata value that cannot be JSON (a cycle, a BigInt): the stream is journaled without it.
    return undefined;
  }
}

/** The opened stream of an `open` record. */
export function parseOpened(json: string): OpenedStream {
  return openedFrom(toRecord(JSON.parse(json)));
}

/** The ending of an `end` record; fields that it lacks are taken from `opened`. */
export function parseEnding(json: string, opened: OpenedStream): Ending {
  const from = toRecord(JSON.parse(json));
  return {
    id: text(from, 'id', opened.messageId),
    streamId: text(from, 'streamId', opened.id),
    conversationId:
      'conversationId' in from ? textOrNull(from, 'conversationId') : opened.conversationId,
    role: text(from, 'role', opened.role),
    metadata: 'metadata' in from ? metadata(from) : opened.metadata,
    complete: from['complete'] === true,
    outcome: outcome(from['outcome']),
    side: side(from['side']),
    revision: number(from, 'revision'),
    chunks: number(from, 'chunks'),
    bytes: number(from, 'bytes'),
    droppedBytes: number(from, 'droppedBytes'),
    traceId: textOrNull(from, 'traceId'),
    startedAt: new Date(number(from, 'startedAt', opened.startedAtMs)),
    endedAt: new Date(number(from, 'endedAt')),
  };
}

function text(from: Fields, name: string, fallback = ''): string {
  const value = from[name];
  return typeof value === 'string' ? value : fallback;
}

function textOrNull(from: Fields, name: string): string | null {
  const value = from[name];
  return typeof value === 'string' ? value : null;
}

function number(from: Fields, name: string, fallback = 0): number {
  const value = from[name];
  return typeof value === 'number' ? value : fallback;
}

function metadata(from: Fields): Readonly<Record<string, unknown>> | null {
  const value = from['metadata'];
  return isObject(value) ? { ...value } : null;
}

function outcome(value: unknown): Outcome {
  return OUTCOMES.find((known) => known === value) ?? 'interrupted';
}

function side(value: unknown): Side {
  return value === 'client' || value === 'upstream' ? value : 'server';
}
