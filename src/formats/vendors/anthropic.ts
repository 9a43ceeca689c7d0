/** Anthropic messages. Shapes: `RawMessageStreamEvent` and `Message` of `@anthropic-ai/sdk`; the `type` repeats the SSE event. */
import { FieldTable } from '../account.ts';
import { defineFormat, type BuiltInFormat, type Frame } from '../format.ts';
import { ERROR, items, member, present, rowOf, stringOr, textAt, typeOf, word } from '../json.ts';
import { isErrorObject } from '../failure.ts';
import { usageIn } from '../usage.ts';
import { isRecord } from '../../core/values.ts';

/** Members of a whole message: inside `message_start`, or as the body of an answer without streaming. */
const message = (at: string): readonly string[] =>
  ['id', 'type', 'role', 'model', 'stop_reason', 'stop_sequence', 'stop_details.**', 'usage.**']
    .concat(['container.**', 'context_management.**', 'content.*.type', 'content.*.signature'])
    .map((key) => at + key);

/** Rows by `type`; blocks and deltas are looked up by their own type. */
const FIELDS: Readonly<Record<string, FieldTable>> = {
  message_start: new FieldTable({ plumbing: ['type', ...message('message.')] }),
  message_delta: new FieldTable({
    plumbing: ['type', 'delta.**', 'usage.**', 'context_management.**'],
  }),
  // Bedrock adds its metrics.
  message_stop: new FieldTable({ plumbing: ['type', 'amazon-bedrock-invocationMetrics.**'] }),
  content_block_stop: new FieldTable({ plumbing: ['type', 'index'] }),
  ping: new FieldTable({ plumbing: ['type'] }),
  message: new FieldTable({
    plumbing: message(''),
    wordless: ['content.**'],
    tool: ['content.*.id', 'content.*.name', 'content.*.input.**'],
  }),
};

/** Rows of a `content_block_start`, by the type of its block; a tool's are `TOOL_BLOCK`. */
const BLOCKS: Readonly<Record<string, FieldTable>> = {
  text: block({ wordless: ['content_block.citations.**'] }),
  thinking: block({
    plumbing: ['content_block.signature'],
    wordless: ['content_block.thinking'],
  }),
  redacted_thinking: block({ wordless: ['content_block.data'] }),
  container_upload: block({ wordless: ['content_block.**'] }),
};
const TOOL_BLOCK = block({ tool: ['content_block.**'] });

/** Rows of a `content_block_delta`, by the type of its delta. Thinking is content, but not text of the answer. */
const DELTAS: Readonly<Record<string, FieldTable>> = {
  text_delta: delta({}),
  input_json_delta: delta({ tool: ['delta.partial_json'] }),
  thinking_delta: delta({ wordless: ['delta.thinking'], plumbing: ['delta.estimated_tokens'] }),
  citations_delta: delta({ wordless: ['delta.citation.**'] }),
  signature_delta: delta({ plumbing: ['delta.signature'] }),
};

/** Members of every type. */
const OTHER = new FieldTable({ plumbing: ['type', 'index'] });

/** Anthropic messages. */
export const anthropic: BuiltInFormat = defineFormat({
  name: 'anthropic',
  framing: 'sse',
  finishMarker: 'needed',
  prefilter: ['message_stop', ERROR, 'type"\\s*:\\s*"message"'],
  recognises: (frame) => recognisedBy(frame, typeOf(frame)),
  fields: (frame) => fieldsOf(frame, typeOf(frame)),
  terminal: (frame) => typeOf(frame) === 'message_stop' || isWhole(frame),
  texts: (frame) => {
    const isText = /^text(?:_delta)?$/.test(stringOr(member(part(frame), 'type')));
    return isText ? present(textAt(member(part(frame), 'text'))) : [];
  },
  whole: (frame) =>
    isWhole(frame)
      ? items(member(frame.json, 'content')).map((one) => stringOr(member(one, 'text')))
      : [],
  failed: (frame) => frame.event === 'error' || (typeOf(frame) === 'error' && isErrorObject(frame)),
  finishReason: (frame) =>
    word(member(member(frame.json, 'delta'), 'stop_reason')) ??
    (isWhole(frame) ? word(member(frame.json, 'stop_reason')) : undefined),
  usage: (frame) => {
    // The output count at the start is not used: no output has been written yet.
    if (typeOf(frame) === 'message_start') {
      return usageIn(member(member(frame.json, 'message'), 'usage'), INPUT, []);
    }
    const isSaid = typeOf(frame) === 'message_delta' || isWhole(frame);
    return isSaid ? usageIn(member(frame.json, 'usage'), INPUT, ['output_tokens']) : undefined;
  },
});

/** `input_tokens` does not include tokens that were read from the cache or written to it. */
const INPUT = ['input_tokens', 'cache_creation_input_tokens', 'cache_read_input_tokens'];

function block(rows: ConstructorParameters<typeof FieldTable>[0]): FieldTable {
  const { plumbing = [], ...rest } = rows;
  return new FieldTable({
    ...rest,
    plumbing: ['type', 'index', 'content_block.type', ...plumbing],
  });
}

function delta(rows: ConstructorParameters<typeof FieldTable>[0]): FieldTable {
  const { plumbing = [], ...rest } = rows;
  return new FieldTable({ ...rest, plumbing: ['type', 'index', 'delta.type', ...plumbing] });
}

function fieldsOf(frame: Frame, type: string): FieldTable {
  const partType = stringOr(member(part(frame), 'type'));
  if (type === 'content_block_delta') return rowOf(DELTAS, partType) ?? OTHER;
  if (type !== 'content_block_start') return rowOf(FIELDS, type) ?? OTHER;
  return rowOf(BLOCKS, partType) ?? (partType.includes('tool') ? TOOL_BLOCK : OTHER);
}

/** Whether only Anthropic would send this payload: by its type and a member of that type. Other streams have `ping` and `error` too. */
function recognisedBy(frame: Frame, type: string): boolean {
  if (type === 'message_stop' || isWhole(frame)) return true;
  if (type === 'message_start') return isRecord(member(frame.json, 'message'));
  if (type === 'content_block_stop') return typeof member(frame.json, 'index') === 'number';
  if (type === 'message_delta') return isRecord(member(frame.json, 'delta'));
  return isRecord(part(frame));
}

/** Whether the payload is a whole message, sent without streaming. */
function isWhole(frame: Frame): boolean {
  return (
    typeOf(frame) === 'message' &&
    member(frame.json, 'role') === 'assistant' &&
    Array.isArray(member(frame.json, 'content'))
  );
}

function part(frame: Frame): unknown {
  const type = typeOf(frame);
  if (type === 'content_block_start') return member(frame.json, 'content_block');
  return type === 'content_block_delta' ? member(frame.json, 'delta') : undefined;
}
