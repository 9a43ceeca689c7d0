/** Anthropic messages. Shapes: the streaming page of the Messages API; the `type` repeats the SSE event. */
import type { BuiltInFormat, Carries, Frame } from '../format.ts';
import { ERROR, isDone, member, rowOf, stringOr, typeOf, word } from '../json.ts';

/** By type; blocks and deltas are looked into. */
const CARRIES: Readonly<Record<string, (frame: Frame) => Carries>> = {
  message_start: () => 'nothing',
  message_delta: () => 'nothing',
  message_stop: () => 'nothing',
  content_block_stop: () => 'nothing',
  ping: () => 'nothing',
  // Blocks that come whole (tool results, redacted thinking) have their content here; the others begin empty.
  content_block_start: (frame) =>
    /^(?:text|thinking)$/.test(partType(frame)) && text(frame) === '' ? 'nothing' : 'content',
  content_block_delta: (frame) => rowOf(DELTAS, partType(frame)) ?? 'unknown',
  error: (frame) => (member(frame.json, 'error') === undefined ? 'unknown' : 'error'),
};

/**
 * Thinking is content but not text: a user who left while the model was thinking has seen something, so the
 * message is not empty, yet nobody would call it the answer.
 */
const DELTAS: Readonly<Record<string, Carries>> = {
  text_delta: 'content',
  input_json_delta: 'content',
  thinking_delta: 'content',
  citations_delta: 'content',
  signature_delta: 'nothing',
};

/** Anthropic messages. */
export const anthropic: BuiltInFormat = {
  name: 'anthropic',
  framing: 'sse',
  finishMarker: 'needed',
  prefilter: ['message_stop', ERROR],
  // `ping` and `error` could be anybody's.
  recognises: (frame) => typeOf(frame).includes('_') && rowOf(CARRIES, typeOf(frame)) !== undefined,
  terminal: (frame) => typeOf(frame) === 'message_stop',
  text,
  carries: (frame) => {
    if (isDone(frame)) return 'nothing';
    if (frame.event === 'error') return 'error';
    const type = typeOf(frame);
    return rowOf(CARRIES, type)?.(frame) ?? 'unknown';
  },
  toolCall: (frame) =>
    /^content_block_(?:start|delta)$/.test(typeOf(frame)) &&
    /tool|input_json/.test(partType(frame)),
  finishReason: (frame) => word(member(member(frame.json, 'delta'), 'stop_reason')),
};

function text(frame: Frame): string {
  const type = typeOf(frame);
  if (type === 'content_block_delta' && partType(frame) === 'text_delta')
    return stringOr(member(part(frame), 'text'));
  if (type === 'content_block_start' && partType(frame) === 'text')
    return stringOr(member(part(frame), 'text'));
  return '';
}

function part(frame: Frame): unknown {
  return member(frame.json, typeOf(frame) === 'content_block_start' ? 'content_block' : 'delta');
}

function partType(frame: Frame): string {
  return stringOr(member(part(frame), 'type'));
}
