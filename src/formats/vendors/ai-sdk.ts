/**
 * The AI SDK's streams of JSON parts. Shapes: `UIMessageChunk` of the `ai` package, versions 5 to 7, and `TextStreamPart`, of 4 and
 * later; Mastra's `ChunkType` has the same types with a `payload`. It ends with `finish` and then `[DONE]`; `[DONE]` alone follows
 * an `abort` as well, so it is not the finish marker here.
 */
import { FieldTable, type FieldRows } from '../account.ts';
import { isFailureWord } from '../failure.ts';
import { defineFormat, type BuiltInFormat, type Frame } from '../format.ts';
import { ERROR, isVoid, member, present, rowOf, textAt, typeOf, word } from '../json.ts';
import type { TokenUsage } from '../../core/observer.ts';
import { usageIn } from '../usage.ts';

/** Members of every part; `runId` and `from` are Mastra's. */
const COMMON = [
  'type',
  'id',
  'runId',
  'from',
  'providerMetadata.**',
  'payload.id',
  'payload.providerMetadata.**',
];

/** Members of a step: its request, response and usage. */
const STEP: FieldRows = {
  plumbing: [
    'messageId',
    'finishReason',
    'rawFinishReason',
    'isContinued',
    'usage.**',
    'totalUsage.**',
    'payload.messageId',
  ],
  wordless: [
    'request.**',
    'response.**',
    'warnings.**',
    'messageMetadata.**',
    'logprobs.**',
    'payload.**',
  ],
};
const ALL_WORDLESS: FieldRows = { wordless: ['**'] };
const ALL_TOOL: FieldRows = { tool: ['**'] };
const REASONING: FieldRows = {
  wordless: ['delta', 'text', 'textDelta', 'signature', 'payload.**'],
};

/**
 * Rows by type. Reasoning, sources, files and the app's own data and metadata are content, because an answer that has them is
 * not empty, but they are not its text.
 */
const FIELDS: Readonly<Record<string, FieldTable>> = {
  ...tables(STEP, ['start', 'start-step', 'step-start', 'finish-step', 'step-finish', 'finish']),
  ...tables({ plumbing: ['reason'] }, ['abort']),
  ...tables({ wordless: ['messageMetadata.**'] }, ['message-metadata']),
  ...tables({ plumbing: ['messageId'] }, ['text-start', 'text-delta', 'text-end']),
  ...tables(REASONING, ['reasoning-start', 'reasoning-delta', 'reasoning-end', 'reasoning']),
  ...tables(ALL_WORDLESS, [
    'reasoning-file',
    'source-url',
    'source-document',
    'source',
    'file',
    'custom',
    'raw',
  ]),
  ...tables(ALL_TOOL, [
    'tool-input-start',
    'tool-input-delta',
    'tool-input-end',
    'tool-input-available',
    'tool-input-error',
    'tool-output-available',
    'tool-output-error',
    'tool-output-denied',
    'tool-output',
    'tool-approval-request',
    'tool-approval-response',
    'tool-call',
    'tool-result',
    'tool-error',
    'tool-call-streaming-start',
    'tool-call-delta',
    'tool-call-input-streaming-start',
    'tool-call-input-streaming-end',
    'tool-call-approval',
    'tool-call-suspended',
  ]),
};
/** Types such as `data-weather`, which the app defines. */
const DATA = new FieldTable({ wordless: ['**'], plumbing: COMMON });
const OTHER = new FieldTable({ plumbing: COMMON });

/** The AI SDK. */
export const aiSdk: BuiltInFormat = defineFormat({
  name: 'ai-sdk',
  framing: 'sse',
  finishMarker: 'needed',
  prefilter: ['finish"', 'abort"', ERROR],
  recognises: (frame) => isOwn(frame, typeOf(frame)),
  fields: (frame) => {
    const type = typeOf(frame);
    return type.startsWith('data-') ? DATA : (rowOf(FIELDS, type) ?? OTHER);
  },
  terminal: (frame) => typeOf(frame) === 'finish',
  texts: (frame) => (typeOf(frame) === 'text-delta' ? present(textOf(frame)) : []),
  failed: (frame) => {
    const type = typeOf(frame);
    if (type === 'abort') return true;
    if (type === 'finish') return isFailureWord(reasonOf(frame));
    if (type !== 'error') return false;
    return ['errorText', 'error', 'payload'].some((key) => !isVoid(member(frame.json, key)));
  },
  finishReason: (frame) => (typeOf(frame) === 'finish' ? reasonOf(frame) : undefined),
  usage: (frame) => (typeOf(frame) === 'finish' ? usageOf(frame) : undefined),
});

function tables(rows: FieldRows, types: readonly string[]): Record<string, FieldTable> {
  const made = new FieldTable({ ...rows, plumbing: [...COMMON, ...(rows.plumbing ?? [])] });
  return Object.fromEntries(types.map((type) => [type, made]));
}

/** The text of a part, in four variants: the UI stream, the full stream of version 5, that of version 4, and Mastra. */
function textOf({ json }: Frame): string | undefined {
  return (
    textAt(member(json, 'delta')) ??
    textAt(member(json, 'text')) ??
    textAt(member(json, 'textDelta')) ??
    textAt(member(member(json, 'payload'), 'text'))
  );
}

function reasonOf({ json }: Frame): string | undefined {
  const payload = member(json, 'payload');
  return (
    word(member(json, 'finishReason')) ??
    word(member(payload, 'finishReason')) ??
    word(member(member(payload, 'stepResult'), 'reason'))
  );
}

/** The counts of all steps: in the full stream of version 5, in that of version 4, and with Mastra. The UI stream has none. */
function usageOf({ json }: Frame): TokenUsage | undefined {
  return (
    usageIn(member(json, 'totalUsage'), ['inputTokens'], ['outputTokens']) ??
    usageIn(member(json, 'usage'), ['promptTokens'], ['completionTokens']) ??
    usageIn(
      member(member(member(json, 'payload'), 'output'), 'usage'),
      ['inputTokens'],
      ['outputTokens'],
    )
  );
}

/**
 * Whether only the SDK would send this part. Other streams have types such as `start` and `finish` too: a type counts together with a
 * member that the SDK sends with it.
 */
function isOwn(frame: Frame, type: string): boolean {
  const has = (key: string): boolean =>
    !isVoid(member(frame.json, key)) || !isVoid(member(member(frame.json, 'payload'), key));
  if (type === 'start-step' || type === 'finish-step') return true;
  if (type === 'step-start' || type === 'step-finish') return has('messageId');
  if (type === 'text-delta') return textOf(frame) !== undefined;
  if (/^(?:text|reasoning)-(?:start|delta|end)$/.test(type)) return has('id');
  return rowOf(FIELDS, type) === FIELDS['tool-call'] && has('toolCallId');
}
