/** Ollama's `/api/chat` and `/api/generate`. Shapes: its API page; the last line says `"done": true`. */
import type { BuiltInFormat, Frame } from '../format.ts';
import { DONE_TRUE, ERROR, isErrorObject, isVoid, member, stringOr, word } from '../json.ts';
import { isRecord } from '../../core/values.ts';

/** Ollama over NDJSON. */
export const ollama: BuiltInFormat = {
  name: 'ollama',
  framing: 'ndjson',
  finishMarker: 'needed',
  prefilter: [DONE_TRUE, ERROR],
  recognises: (frame) =>
    typeof member(frame.json, 'done') === 'boolean' &&
    (typeof member(frame.json, 'response') === 'string' || isRecord(member(frame.json, 'message'))),
  terminal: (frame) => member(frame.json, 'done') === true,
  text: (frame) =>
    stringOr(member(frame.json, 'response')) + stringOr(member(message(frame), 'content')),
  carries: (frame) => {
    if (isErrorObject(frame)) return 'error';
    if (!ollama.recognises(frame)) return 'unknown';
    if (ollama.text(frame) !== '') return 'content';
    // Thinking, calls and images are content without text.
    const wordless = [member(frame.json, 'thinking')].concat(
      ['thinking', 'tool_calls', 'images'].map((key) => member(message(frame), key)),
    );
    return wordless.every(isVoid) ? 'nothing' : 'content';
  },
  toolCall: (frame) => !isVoid(member(message(frame), 'tool_calls')),
  finishReason: (frame) => word(member(frame.json, 'done_reason')),
};

function message(frame: Frame): unknown {
  return member(frame.json, 'message');
}
