/** Ollama's `/api/chat` and `/api/generate`. Shapes: `ChatResponse` and `GenerateResponse` of the `ollama` package. */
import { FieldTable } from '../account.ts';
import { isErrorObject, isFailureWord } from '../failure.ts';
import { defineFormat, type BuiltInFormat } from '../format.ts';
import { DONE_TRUE, ERROR, member, present, textAt, word } from '../json.ts';
import { isRecord } from '../../core/values.ts';
import { usageIn } from '../usage.ts';

const FIELDS = new FieldTable({
  plumbing: [
    'model',
    'created_at',
    'done',
    'done_reason',
    'context.**',
    'remote_model',
    'remote_host',
    'total_duration',
    'load_duration',
    'prompt_eval_count',
    'prompt_eval_duration',
    'eval_count',
    'eval_duration',
    'message.role',
    'message.tool_name',
  ],
  wordless: ['thinking', 'message.thinking', 'message.images.**', 'image', 'logprobs.**'],
  tool: ['message.tool_calls.**'],
});

/** Ollama over NDJSON. */
export const ollama: BuiltInFormat = defineFormat({
  name: 'ollama',
  framing: 'ndjson',
  finishMarker: 'needed',
  prefilter: [DONE_TRUE, ERROR],
  recognises: (frame) =>
    typeof member(frame.json, 'done') === 'boolean' &&
    (typeof member(frame.json, 'response') === 'string' || isRecord(member(frame.json, 'message'))),
  fields: () => FIELDS,
  terminal: (frame) => member(frame.json, 'done') === true,
  texts: (frame) =>
    present(
      textAt(member(frame.json, 'response')),
      textAt(member(member(frame.json, 'message'), 'content')),
    ),
  failed: (frame) => isErrorObject(frame) || isFailureWord(word(member(frame.json, 'done_reason'))),
  finishReason: (frame) => word(member(frame.json, 'done_reason')),
  usage: ({ json }) =>
    member(json, 'done') === true
      ? usageIn(json, ['prompt_eval_count'], ['eval_count'])
      : undefined,
});
