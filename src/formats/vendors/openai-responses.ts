/** OpenAI's Responses API. Shapes: `ResponseStreamEvent`, `Response` and `ResponseOutputItem` of the `openai` package. */
import { FieldTable, type FieldRows } from '../account.ts';
import { isFailureWord } from '../failure.ts';
import { defineFormat, type BuiltInFormat, type Frame } from '../format.ts';
import { ERROR, items, member, present, stringOr, textAt, typeOf, word } from '../json.ts';
import { isRecord } from '../../core/values.ts';
import { usageIn } from '../usage.ts';

/** Members of every event. */
const COMMON = [
  'type',
  'sequence_number',
  'item_id',
  'output_index',
  'content_index',
  'summary_index',
  'annotation_index',
  'response_id',
  'obfuscation',
  'agent.**',
];

/** Members of an output item; `textsOfItem` finds its text. */
const ITEM = {
  plumbing: ['id', 'type', 'status', 'role', 'phase', 'content.*.type'],
  wordless: ['content.**', 'summary.**', 'encrypted_content', 'result', 'queries.**', 'results.**'],
  tool: ['**'],
};

/** Members of a response: it repeats the parameters of the request, and its `output` is the answer. */
function responseRows(at: string): FieldRows {
  const item = (kind: 'plumbing' | 'wordless' | 'tool'): string[] =>
    ITEM[kind].map((path) => `${at}output.*.${path}`);
  return {
    plumbing: [...COMMON, `${at}**`, ...item('plumbing')],
    wordless: [...item('wordless'), `${at}output_text`, `${at}error.**`],
    tool: item('tool'),
  };
}

const itemRows = (at: string): FieldRows => ({
  plumbing: [...COMMON, ...ITEM.plumbing.map((path) => at + path)],
  wordless: ITEM.wordless.map((path) => at + path),
  tool: ITEM.tool.map((path) => at + path),
});

/** Rows by type; the first match is used. Without a match only the members of every event are known. */
const FIELDS: readonly (readonly [RegExp, FieldTable])[] = [
  [
    /^response\.(?:created|queued|in_progress|completed|incomplete|failed)$/,
    new FieldTable(responseRows('response.')),
  ],
  [/^response\.(?:output_text|refusal)\.(?:delta|done)$/, table({ wordless: ['logprobs.**'] })],
  [/^response\.output_item\.(?:added|done)$/, new FieldTable(itemRows('item.'))],
  [
    /^response\.content_part\.(?:added|done)$/,
    table({
      plumbing: ['part.type'],
      wordless: ['part.annotations.**', 'part.logprobs.**', 'part.text'],
    }),
  ],
  [/^response\.output_text\.annotation\.added$/, table({ wordless: ['annotation.**'] })],
  [
    /^response\.(?:reasoning\w*|audio(?:\.transcript)?|image_generation_call)\.\w+$/,
    table({
      wordless: [
        'delta',
        'text',
        'part.**',
        'partial_image_b64',
        'partial_image_index',
        'size',
        'quality',
        'background',
        'output_format',
      ],
    }),
  ],
  // `response.function_call_arguments.delta`, `response.web_search_call.searching` and similar types.
  [
    /^response\.(?:\w+_call(?:_\w+)?|mcp_list_tools|custom_tool_call_input)\.\w+$/,
    table({ tool: ['delta', 'arguments', 'name', 'call_id', 'input', 'code', 'error.**'] }),
  ],
];

/** A whole response, as the API sends it without streaming. */
const WHOLE = new FieldTable(responseRows(''));
const OTHER = table({});

/** OpenAI Responses. */
export const openaiResponses: BuiltInFormat = defineFormat({
  name: 'openai-responses',
  framing: 'sse',
  finishMarker: 'needed',
  prefilter: [
    String.raw`response\.(?:completed|incomplete|failed)`,
    String.raw`object"\s*:\s*"response"`,
    ERROR,
  ],
  recognises: (frame) => isWhole(frame.json) || isOwn(frame),
  fields: (frame) =>
    isWhole(frame.json)
      ? WHOLE
      : (FIELDS.find(([pattern]) => pattern.test(typeOf(frame)))?.[1] ?? OTHER),
  terminal: (frame) => {
    if (!isWhole(frame.json)) return /^response\.(?:completed|incomplete)$/.test(typeOf(frame));
    return /^(?:completed|incomplete)$/.test(stringOr(member(frame.json, 'status')));
  },
  texts: (frame) =>
    /^response\.(?:output_text|refusal)\.delta$/.test(typeOf(frame))
      ? present(textAt(member(frame.json, 'delta')))
      : [],
  whole: (frame) => wholeOf(frame, typeOf(frame)),
  failed: (frame) => {
    const type = typeOf(frame);
    // Other formats have the type `error` too; here it comes with a `sequence_number`.
    if (type === 'error') return member(frame.json, 'sequence_number') !== undefined;
    return type === 'response.failed' || isFailureWord(word(member(responseIn(frame), 'status')));
  },
  finishReason: (frame) => {
    const response = responseIn(frame);
    if (!/^(?:completed|incomplete|failed|cancelled)$/.test(stringOr(member(response, 'status')))) {
      return word(member(member(response, 'incomplete_details'), 'reason'));
    }
    return (
      word(member(member(response, 'incomplete_details'), 'reason')) ??
      word(member(response, 'status'))
    );
  },
  usage: (frame) =>
    usageIn(member(responseIn(frame), 'usage'), ['input_tokens'], ['output_tokens']),
});

function table(rows: FieldRows): FieldTable {
  return new FieldTable({ ...rows, plumbing: [...COMMON, ...(rows.plumbing ?? [])] });
}

/** Whether only this API would send this event: by its type, and for some types by the member `response`. */
function isOwn(frame: Frame): boolean {
  const type = typeOf(frame);
  if (!type.startsWith('response.')) return false;
  if (FIELDS[0]?.[0].test(type) === true) return isRecord(member(frame.json, 'response'));
  return FIELDS.some(([pattern]) => pattern.test(type));
}

function isWhole(json: unknown): boolean {
  return member(json, 'object') === 'response' && Array.isArray(member(json, 'output'));
}

/** The response in a payload, or the payload itself if it is a whole response. */
function responseIn(frame: Frame): unknown {
  return isWhole(frame.json) ? frame.json : member(frame.json, 'response');
}

/** The texts that repeat earlier deltas: of one part, of one item, or of the whole response. */
function wholeOf(frame: Frame, type: string): readonly string[] {
  const { json } = frame;
  switch (type) {
    case 'response.output_text.done':
      return present(textAt(member(json, 'text')));
    case 'response.refusal.done':
      return present(textAt(member(json, 'refusal')));
    case 'response.content_part.done':
      return textsOfPart(member(json, 'part'));
    case 'response.output_item.done':
      return textsOfItem(member(json, 'item'));
    default:
      return items(member(responseIn(frame), 'output')).flatMap(textsOfItem);
  }
}

function textsOfItem(item: unknown): readonly string[] {
  if (member(item, 'type') !== 'message') return [];
  return items(member(item, 'content')).flatMap(textsOfPart);
}

function textsOfPart(part: unknown): readonly string[] {
  const type = member(part, 'type');
  if (type === 'output_text') return present(textAt(member(part, 'text')));
  return type === 'refusal' ? present(textAt(member(part, 'refusal'))) : [];
}
