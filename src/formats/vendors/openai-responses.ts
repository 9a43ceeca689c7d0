/** OpenAI's Responses API. Shapes: `ResponseStreamEvent` of the `openai` package. */
import type { BuiltInFormat, Carries, Frame } from '../format.ts';
import { ERROR, isDone, member, stringOr, typeOf, word } from '../json.ts';

/** By type, the first that matches; what matches none is unknown. */
const CARRIES: readonly (readonly [RegExp, Carries])[] = [
  [/^(?:error|response\.failed)$/, 'error'],
  // A tool of the server failed; the model goes on.
  [/^response\.\w+\.failed$/, 'nothing'],
  // `.delta` of text, refusal, reasoning, audio, and of every kind of tool input.
  [/^response\.[\w.]+\.delta$/, 'content'],
  [/^response\.image_generation_call\.partial_image$/, 'content'],
  // `.done` and `.completed` frames repeat what their deltas said.
  [
    /^response\.(?:[\w.]+\.)?(?:created|queued|in_progress|searching|interpreting|generating|added|done|completed|incomplete)$/,
    'nothing',
  ],
];
const TEXT = new Set(['response.output_text.delta', 'response.refusal.delta']);
const FINISH = new Set(['response.completed', 'response.incomplete']);
/** `response.function_call_arguments.delta`, `response.web_search_call.searching` … */
const TOOL = /^response\.\w+_call(?:_\w+)?\.|^response\.custom_tool_call_input\./;

/** OpenAI Responses. */
export const openaiResponses: BuiltInFormat = {
  name: 'openai-responses',
  framing: 'sse',
  finishMarker: 'needed',
  prefilter: [String.raw`response\.(?:completed|incomplete|failed)`, ERROR],
  recognises: (frame) => typeOf(frame).startsWith('response.'),
  terminal: (frame) => FINISH.has(typeOf(frame)),
  text: (frame) => (TEXT.has(typeOf(frame)) ? stringOr(member(frame.json, 'delta')) : ''),
  carries: (frame) => {
    if (isDone(frame)) return 'nothing';
    const type = typeOf(frame);
    // `error` is a type of other formats as well; here it has these two.
    if (type === 'error' && member(frame.json, 'sequence_number') === undefined) return 'unknown';
    if (startsTool(frame)) return 'content';
    return CARRIES.find(([pattern]) => pattern.test(type))?.[1] ?? 'unknown';
  },
  toolCall: (frame) => TOOL.test(typeOf(frame)) || startsTool(frame),
  finishReason: (frame) => {
    if (!FINISH.has(typeOf(frame))) return undefined;
    const response = member(frame.json, 'response');
    return (
      word(member(member(response, 'incomplete_details'), 'reason')) ??
      word(member(response, 'status'))
    );
  },
};

function startsTool(frame: Frame): boolean {
  return (
    typeOf(frame) === 'response.output_item.added' &&
    stringOr(member(member(frame.json, 'item'), 'type')).endsWith('_call')
  );
}
