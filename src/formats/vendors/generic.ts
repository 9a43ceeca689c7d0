/**
 * The generic formats: SSE and NDJSON that apps invent, and those of frameworks that many apps use. The text is looked for under the
 * usual names; a payload in which it is not found is kept and counted.
 */
import { FieldTable, type FieldKind, type Leaf } from '../account.ts';
import { isErrorFrame, isFailureWord } from '../failure.ts';
import { defineFormat, type BuiltInFormat, type Frame } from '../format.ts';
import { DONE, DONE_TRUE, ERROR, isDone, items, member, stringOr, textAt, word } from '../json.ts';
import { isRecord } from '../../core/values.ts';

/** Where home-made payloads have their text, in this order. `answer` is Dify's, `textResponse` AnythingLLM's. */
const TEXT_KEYS = [
  'delta',
  'content',
  'text',
  'token',
  'response',
  'answer',
  'textResponse',
  'completion',
];
/** Names that hold the text only if the payload's type or event does not name something else: Flowise has `data`. */
const WEAK_KEYS = ['data', 'chunk', 'output'];
/**
 * Members that may hold the object with the text. LangChain has `kwargs` and `data.chunk`, Bedrock `contentBlockDelta`, Cohere `response`
 * at its end, LibreChat `responseMessage`, TGI `token`.
 */
const WRAPPERS = [
  'delta',
  'message',
  'payload',
  'data',
  'chunk',
  'kwargs',
  'output',
  'token',
  'content',
  'contentBlockDelta',
  'response',
  'responseMessage',
];
const MAX_DEPTH = 5;

/** Types and events whose text is not the answer's. */
const NO_ANSWER =
  /thought|thinking|reason|tool|function|source|citation|status|step|metadata|state|usage|progress|debug|title|\blog|error|start(?:ed)?$|^nextAgent|^agent_log|^updates|^values/i;
/** Types and events with which a weak key holds the text. */
const ANSWER = /token|text|message|chunk|delta|content|answer|stream|data|^$/i;
/** Roles whose message is not the answer. */
const OTHER_ROLES: ReadonlySet<unknown> = new Set(['user', 'human', 'system', 'tool', 'developer']);

/** Heartbeats. */
const HEARTBEATS = new Set(['ping', 'heartbeat', 'keepalive', 'keep-alive', 'keep_alive']);
/** Events and types of a last frame, with the senders that use them. */
const ENDS: ReadonlySet<string> = new Set([
  // LangServe and LangGraph; Flowise; better-sse; GraphQL over SSE.
  'end',
  'done',
  'complete',
  // AG-UI `EventType`; Cohere v2 and v1; Dify; Mistral conversations.
  'RUN_FINISHED',
  'message-end',
  'stream-end',
  'message_end',
  'workflow_finished',
  'conversation.response.done',
]);
/** Matches in every frame with one of these names, or one of the members that `isEnd` reads. */
const END_NAMES = [
  String.raw`event: ?(?:end|done|complete)[\r\n]`,
  String.raw`(?:event|type|event_type)"\s*:\s*"(?:end|done|complete|RUN_FINISHED|message-end|stream-end|message_end|workflow_finished|conversation\.response\.done)"`,
  String.raw`(?:close|final|is_finished|finished)"\s*:\s*true`,
  String.raw`generated_text"\s*:\s*"`,
  'messageStop"',
  String.raw`stop"\s*:\s*true`,
];

/** Members that most payloads have beside their text. A value of several words (`"status": "looking it up"`) is still content. */
const NAMES =
  /(?:^|[_-])(?:u?u?ids?|type|event|role|model|object|version|provider|reason|status|created|updated|timestamp|ts|at|index|fingerprint|model_name|obfuscation|p)$|[a-z](?:Ids?|UUID|At|Type|Role|Model|Name|Reason|Status|Index|Version)$/;
const NUMBERS =
  /(?:tokens?|time|duration|latency|elapsed|ms|seq|sequence|sequence_?number|logprob)$/i;
const FLAGS =
  /^(?:done|final|finished|is_?finished|close|closed|complete|completed|end|ended|stop|stopped|success|ok|error|initial|partial|stream|streaming|special)$/i;
const USAGE = /usage|tokens|metrics|timings/i;

const FIELDS = new FieldTable({}, kindOf);
/** For heartbeats and ends: their numbers and booleans are plumbing. */
const ABOUT = new FieldTable({}, (key, leaf) =>
  typeof leaf === 'string' ? kindOf(key, leaf) : 'plumbing',
);

const END_WORD = new FieldTable({ plumbing: ['**'] });

/** Generic SSE: `data:` lines, and `[DONE]` or `"done": true` where the app sends one. */
export const genericSse: BuiltInFormat = generic('sse');

/** Generic NDJSON. */
export const genericNdjson: BuiltInFormat = generic('ndjson');

function generic(framing: 'sse' | 'ndjson'): BuiltInFormat {
  return defineFormat({
    name: framing,
    framing,
    finishMarker: 'accepted',
    prefilter: [DONE, DONE_TRUE, ERROR, ...END_NAMES],
    // A generic format is chosen only where no other format recognises a frame.
    recognises: () => false,
    fields: (frame) => {
      if (isEndWord(frame)) return END_WORD;
      return isAbout(frame) || (textOf(frame) ?? '') !== '' ? ABOUT : FIELDS;
    },
    terminal: isEnd,
    texts: (frame) => {
      const text = textOf(frame);
      return text === undefined ? [] : [text];
    },
    failed: (frame) => isErrorFrame(frame) || isFailureWord(reasonOf(frame)),
    finishReason: reasonOf,
  });
}

/** The kind of a leaf of a generic format, by the name of its member. */
export function kindOf(key: string, leaf: Leaf): FieldKind | undefined {
  if (typeof leaf === 'boolean') return FLAGS.test(key) ? 'plumbing' : undefined;
  if (typeof leaf === 'number') {
    return NAMES.test(key) || NUMBERS.test(key) || USAGE.test(key) ? 'plumbing' : undefined;
  }
  // A name is one word. Its length is that of an id, not of an answer.
  return NAMES.test(key) && leaf.length <= 128 && !/\s/.test(leaf) ? 'plumbing' : undefined;
}

/** The text, which may be `''`; `undefined` where the payload has no member for a text. */
function textOf(frame: Frame): string | undefined {
  if (isEndWord(frame)) return undefined;
  const { json } = frame;
  if (json === undefined) return frame.data;
  if (typeof json === 'string') return json;
  if (typeof json !== 'object' || json === null) return undefined;
  if (hasName(frame, (name) => NO_ANSWER.test(name))) return undefined;
  const isStrange = hasName(frame, (name) => !ANSWER.test(name));
  return textIn(json, !isStrange, MAX_DEPTH);
}

/** The text of a payload or of an object in it. `weak`: weak keys count too. */
function textIn(value: unknown, weak: boolean, depth: number): string | undefined {
  if (depth === 0) return undefined;
  if (Array.isArray(value)) return textInPair(value, weak, depth);
  if (!isRecord(value) || OTHER_ROLES.has(value['role']) || OTHER_ROLES.has(value['type'])) {
    return undefined;
  }
  // TGI's tokens that are no text; the user's message, with which LibreChat begins.
  if (value['special'] === true || value['isCreatedByUser'] === true) return undefined;
  for (const key of TEXT_KEYS) {
    const text = textAt(member(value, key));
    if (text !== undefined) return text;
  }
  const parts = textOfParts(member(value, 'content'));
  if (parts !== undefined) return parts;
  for (const key of WRAPPERS) {
    const text = textIn(member(value, key), weak, depth - 1);
    if (text !== undefined) return text;
  }
  for (const key of weak ? WEAK_KEYS : []) {
    const text = member(value, key);
    if (typeof text === 'string' && text !== '[DONE]') return text;
  }
  return undefined;
}

/** The text in the first element of a pair; if that is the name of a mode, as in LangGraph, in the second. */
function textInPair(value: readonly unknown[], weak: boolean, depth: number): string | undefined {
  const [first, second] = value;
  if (value.length === 0 || value.length > 2) return undefined;
  if (typeof first !== 'string') return textIn(first, weak, depth - 1);
  return NO_ANSWER.test(first) ? undefined : textIn(second, weak, depth - 1);
}

/** Content in parts: `[{ "type": "text", "text": … }]`, as LangChain and MCP have it. */
function textOfParts(content: unknown): string | undefined {
  const texts = items(content).map((part) =>
    /^(?:text|text_delta)$/.test(stringOr(member(part, 'type')))
      ? textAt(member(part, 'text'))
      : undefined,
  );
  const found = texts.filter((text) => text !== undefined);
  return found.length === 0 ? undefined : found.join('');
}

/** Whether one of the names of a frame, its event or its type, passes a test. */
function hasName({ event, json }: Frame, passes: (name: string) => boolean): boolean {
  if (event !== undefined && passes(event)) return true;
  if (!isRecord(json)) return false;
  for (const key of NAME_KEYS) {
    const name = member(json, key);
    if (typeof name === 'string' && passes(name)) return true;
  }
  return false;
}

const NAME_KEYS = ['event', 'type', 'event_type'];

function isAbout(frame: Frame): boolean {
  return isEnd(frame) || hasName(frame, (name) => HEARTBEATS.has(name) || name === 'metadata');
}

/** Whether the frame is the last one. */
function isEnd(frame: Frame): boolean {
  if (isDone(frame) || hasName(frame, isEndName)) return true;
  const { json } = frame;
  if (!isRecord(json)) return false;
  // llama.cpp; Bedrock; TGI.
  return (
    END_FLAGS.some((key) => json[key] === true) ||
    (json['stop'] === true && 'content' in json) ||
    isRecord(json['messageStop']) ||
    (typeof json['generated_text'] === 'string' && isRecord(json['token']))
  );
}

const END_FLAGS = ['done', 'final', 'is_finished', 'finished', 'close'];

function isEndName(name: string): boolean {
  return ENDS.has(name);
}

/** Whether the payload is `[DONE]`, `[END]` or a word after `event: end`: these are not text. */
function isEndWord(frame: Frame): boolean {
  const { data, event, json } = frame;
  if (isDone(frame)) return true;
  const said = json === undefined ? data : json;
  if (typeof said !== 'string' || said.length > 32) return false;
  return said === '[END]' || (ENDS.has(event ?? '') && /^\[?\w+\]?$/.test(said));
}

function reasonOf({ json }: Frame): string | undefined {
  return (
    word(member(json, 'finish_reason')) ??
    word(member(json, 'done_reason')) ??
    word(member(member(json, 'delta'), 'finish_reason')) ??
    word(member(member(json, 'messageStop'), 'stopReason')) ??
    word(member(member(json, 'details'), 'finish_reason'))
  );
}
