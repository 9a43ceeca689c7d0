/** Serialises a batch as arguments of the scripts; parses their replies into records, tails and claims. */
import { bad, show } from '../core/options.ts';
import { Buffer } from 'node:buffer';
import { conversationKey, isIdentifier } from '../core/identifiers.ts';
import { endText, parseEnd } from '../relay/engine.ts';
import type {
  RelayAnswer,
  RelayBatch,
  RelayClaim,
  RelayPosition,
  RelayReading,
  RelayRecord,
  RelayState,
  RelayTail,
} from '../relay/port.ts';
import type { RedisArgument } from './client.ts';

/** A string in Redis has 512 MiB at most. Parts of a body beyond this limit are not sent. */
const MAX_BODY_BYTES = 500 * 2 ** 20;

/** A conversation as an argument of a script: '' for none. */
export function conversationArgument(id: string | null): string {
  return id === null ? '' : `=${conversationKey(id)}`;
}

/** The arguments of an exchange; `turn`: how many exchanges the last answer of the server counted. Throws `TypeError` for an invalid id. */
export function exchangeArguments(batch: RelayBatch, turn: number): readonly RedisArgument[] {
  const { instance, registers, leaseMs, retainMs, following, settled } = batch;
  const states = new Map(batch.states.map((state) => [state.streamId, state]));
  const opened = new Set(batch.openings.map(({ streamId }) => streamId));
  const changes = batch.states.filter(({ streamId }) => !opened.has(streamId));
  const parts = batch.parts.filter(({ at, body }) => at + body.length <= MAX_BODY_BYTES);
  const names = [instance, ...opened, ...states.keys(), ...settled];
  // lastchunk creates these ids; any other value is a defect of the caller.
  if (!names.every(isIdentifier)) throw new TypeError('an exchange names a stream by no name');
  return [
    instance,
    registers ? '1' : '0',
    String(leaseMs),
    String(retainMs),
    String(turn),
    JSON.stringify(following.filter(isIdentifier)),
    ...[batch.openings, changes, settled, parts].map(({ length }) => String(length)),
    ...batch.openings.flatMap(({ streamId, head, startedAtMs }) => [
      streamId,
      head,
      // The score 0 is for ended streams.
      String(Math.max(1, Math.round(startedAtMs))),
      ...stateArguments(states.get(streamId)),
    ]),
    ...changes.flatMap((state) => [state.streamId, ...stateArguments(state)]),
    ...settled,
    ...parts.flatMap(({ streamId, at, body }) => [streamId, String(at), String(body.length)]),
    Buffer.concat(parts.map(({ body }) => body)),
  ];
}

function stateArguments(state: RelayState | undefined): readonly string[] {
  const { conversationId = null, heldFrom = null, ending = null, end = null } = state ?? {};
  return [
    conversationArgument(conversationId),
    heldFrom === null ? '' : String(heldFrom),
    ending ?? '',
    end === null ? '' : endText(end),
  ];
}

/** Parses the reply to an exchange: the answer, and the number of exchanges so far; `undefined` where the lease is not held. */
export function parseAnswer(
  reply: unknown,
  { openings }: RelayBatch,
): { readonly answer: RelayAnswer; readonly turn: number } | undefined {
  const [isHeld, turn, hasExpired, lengths, stops, followed] = itemsOf(reply);
  if (Number(isHeld) !== 1) return undefined;
  const sizes = itemsOf(lengths);
  const answer = {
    isHeld: true,
    lengths: new Map(openings.map(({ streamId }, n) => [streamId, Number(sizes[n] ?? 0)])),
    stops: itemsOf(stops).map(String),
    followed: itemsOf(followed).flatMap((json) => namesIn(String(json))),
    hasExpired: Number(hasExpired) === 1,
  };
  return { answer, turn: Number(turn) };
}

/** Parses the reply to `find`; `undefined` where there is no stream. */
export function parseRecord(reply: unknown): RelayRecord | undefined {
  if (!Array.isArray(reply)) return undefined;
  const [streamId, conversation, head, end] = reply.map(String);
  if (streamId === undefined || head === undefined) return undefined;
  return {
    streamId,
    conversationId: conversation?.startsWith('=') === true ? conversation.slice(1) : null,
    head,
    end: parseEnd(end || undefined),
  };
}

/** The arguments of a read; all stream ids must be valid. */
export function readArguments(
  positions: readonly RelayPosition[],
  { maxBytes, withHeld }: RelayReading,
): readonly string[] {
  const places = positions.flatMap(({ streamId, offset }) => [streamId, String(offset)]);
  return [withHeld ? '1' : '0', String(maxBytes), ...places];
}

/** Parses the reply to `read`: an item for each position, in order. */
export function parseTails(reply: unknown): readonly (RelayTail | undefined)[] {
  return itemsOf(reply).map((item) => {
    const [body, end] = itemsOf(item);
    if (!(body instanceof Uint8Array)) return undefined;
    return { body, end: parseEnd(String(end) || undefined) };
  });
}

/** Parses the reply to `claim`. */
export function parseClaims(reply: unknown): readonly RelayClaim[] {
  return itemsOf(reply).map((item) => {
    const [streamId, head, ending] = itemsOf(item).map(String);
    return { streamId: streamId ?? '', head: head ?? '', ending: ending || null };
  });
}

function itemsOf(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? reply : [];
}

/** The streams that an instance follows; empty for JSON that cannot be parsed, as another version may write. */
function namesIn(json: string): readonly string[] {
  try {
    const names: unknown = JSON.parse(json);
    return Array.isArray(names) ? names.map(String) : [];
  } catch {
    return [];
  }
}

/** What every key of a relay begins with, and the hash tag of all of them. Throws `bad-option` for an impossible `prefix`. */
export function rootOf(prefix: unknown): string {
  if (prefix === undefined) return '{lastchunk}';
  if (typeof prefix === 'string' && PREFIX.test(prefix)) return `{${prefix}}`;
  throw bad(`\`prefix\` must be 1 to 64 letters, digits or any of _.:-, not ${show(prefix)}`);
}

const PREFIX = /^[\w.:-]{1,64}$/;
