/** Gemini's `streamGenerateContent?alt=sse`. Shapes: `GenerateContentResponse` of the Gemini API. */
import type { BuiltInFormat, Frame } from '../format.ts';
import { ERROR, isDone, isErrorObject, items, member, stringOr, word } from '../json.ts';
import { isRecord } from '../../core/values.ts';

const TOOL_PARTS = [
  'functionCall',
  'functionResponse',
  'executableCode',
  'codeExecutionResult',
  'toolCall',
  'toolResponse',
];

/** Gemini over SSE. The frame with `finishReason` may hold the last text too. */
export const gemini: BuiltInFormat = {
  name: 'gemini',
  framing: 'sse',
  finishMarker: 'needed',
  prefilter: ['finishReason', 'blockReason', ERROR],
  recognises: (frame) =>
    Array.isArray(member(frame.json, 'candidates')) || blockReason(frame) !== undefined,
  // A blocked prompt has no candidates, and nothing follows.
  terminal: (frame) => gemini.finishReason(frame) !== undefined,
  text: (frame) =>
    partsOf(frame)
      .filter((part) => member(part, 'thought') !== true)
      .map((part) => stringOr(member(part, 'text')))
      .join(''),
  carries: (frame) => {
    if (isDone(frame)) return 'nothing';
    if (isErrorObject(frame)) return 'error';
    const parts = partsOf(frame).filter((part) => member(part, 'text') !== '');
    // Thoughts, images and calls are content without text.
    if (parts.length > 0) return parts.every(isRecord) ? 'content' : 'unknown';
    return gemini.recognises(frame) || isRecord(member(frame.json, 'usageMetadata'))
      ? 'nothing'
      : 'unknown';
  },
  toolCall: (frame) =>
    partsOf(frame).some((part) => TOOL_PARTS.some((key) => member(part, key) !== undefined)),
  finishReason: (frame) => word(member(candidate(frame), 'finishReason')) ?? blockReason(frame),
};

function candidate(frame: Frame): unknown {
  return items(member(frame.json, 'candidates'))[0];
}

function partsOf(frame: Frame): readonly unknown[] {
  return items(member(member(candidate(frame), 'content'), 'parts'));
}

function blockReason(frame: Frame): string | undefined {
  return word(member(member(frame.json, 'promptFeedback'), 'blockReason'));
}
