/**
 * OpenAI chat completions, and the many servers that speak them. Shapes: `ChatCompletionChunk` of the
 * `openai` package; other servers add keys, leave ids out and send `""` where OpenAI sends null, and
 * must be read all the same.
 */
import type { BuiltInFormat, Carries, Frame } from '../format.ts';
import {
  DONE,
  ERROR,
  isDone,
  isErrorObject,
  isVoid,
  items,
  member,
  stringOr,
  word,
} from '../json.ts';
import { isRecord } from '../../core/values.ts';

/** Deltas that are content without being the answer's text. The reasoning keys are those of DeepSeek, vLLM and OpenRouter. */
const TOOL_KEYS = ['tool_calls', 'function_call'];
const WORDLESS_KEYS = [
  'reasoning',
  'reasoning_content',
  'reasoning_details',
  'audio',
  'annotations',
  ...TOOL_KEYS,
];
/** Deltas that are the text. A refusal is what the user gets to read, so it is the answer. */
const TEXT_KEYS = ['content', 'refusal'];

/** OpenAI chat completions. `[DONE]` alone is a finish marker too: some servers leave `finish_reason` null to the end. */
export const openai: BuiltInFormat = {
  name: 'openai',
  framing: 'sse',
  finishMarker: 'needed',
  // Every chunk has `"finish_reason":null`, so it is anything but null that is suspect.
  prefilter: [DONE, String.raw`finish_reason"(?!\s*:\s*null)`, ERROR],
  recognises: (frame) => {
    const choices = member(frame.json, 'choices');
    return Array.isArray(choices) && choices.every((choice) => isRecord(member(choice, 'delta')));
  },
  // Several choices of one answer end one by one; the first end is where a client may stop listening.
  terminal: (frame) => isDone(frame) || choicesOf(frame).some((choice) => finishes(choice)),
  text: (frame) => {
    let text = '';
    for (const choice of choicesOf(frame)) if (isFirst(choice)) text += textOf(choice);
    return text;
  },
  carries: (frame) => {
    if (isDone(frame)) return 'nothing';
    // Anthropic's errors have `error` too, and a `type` beside it.
    if (isErrorObject(frame) && member(frame.json, 'type') === undefined) return 'error';
    if (!Array.isArray(member(frame.json, 'choices'))) {
      return isRecord(member(frame.json, 'usage')) ? 'nothing' : 'unknown';
    }
    const found = choicesOf(frame).map(carriedBy);
    if (found.includes('unknown')) return 'unknown';
    return found.includes('content') ? 'content' : 'nothing';
  },
  toolCall: (frame) =>
    choicesOf(frame).some((choice) =>
      TOOL_KEYS.some((key) => !isVoid(member(member(choice, 'delta'), key))),
    ),
  finishReason: (frame) => {
    for (const choice of choicesOf(frame)) {
      const reason = word(member(choice, 'finish_reason'));
      if (reason !== undefined) return reason;
    }
    return undefined;
  },
};

function choicesOf(frame: Frame): readonly unknown[] {
  return items(member(frame.json, 'choices'));
}

/** After `tool_calls` the handler runs the tool and the answer goes on. */
function finishes(choice: unknown): boolean {
  const reason = word(member(choice, 'finish_reason'));
  return reason !== undefined && reason !== 'tool_calls';
}

/** The text of several choices does not come in one order; only the first has a place in the text. */
function isFirst(choice: unknown): boolean {
  const index = member(choice, 'index');
  return index === 0 || typeof index !== 'number';
}

function textOf(choice: unknown): string {
  const delta = member(choice, 'delta');
  return TEXT_KEYS.map((key) => stringOr(member(delta, key))).join('');
}

function carriedBy(choice: unknown): Carries {
  const delta = member(choice, 'delta');
  if (!isRecord(delta)) return isVoid(delta) ? 'nothing' : 'unknown';
  const carried = Object.entries(delta).filter(([key, value]) => key !== 'role' && !isVoid(value));
  if (carried.length === 0) return 'nothing';
  if (!isFirst(choice)) return 'unknown';
  const known = carried.some(
    ([key, value]) =>
      (TEXT_KEYS.includes(key) && typeof value === 'string') || WORDLESS_KEYS.includes(key),
  );
  return known ? 'content' : 'unknown';
}
