/** Gemini's `streamGenerateContent`. Shapes: `GenerateContentResponse` of `@google/genai`. */
import { FieldTable } from '../account.ts';
import { isErrorObject, isFailureWord } from '../failure.ts';
import { defineFormat, type BuiltInFormat, type Frame } from '../format.ts';
import { ERROR, items, member, present, textAt, word } from '../json.ts';
import { isRecord } from '../../core/values.ts';
import { usageIn } from '../usage.ts';

const CANDIDATE = 'candidates.*';
const PART = `${CANDIDATE}.content.parts.*`;

const FIELDS = new FieldTable({
  plumbing: [
    'usageMetadata.**',
    'modelVersion',
    'responseId',
    'createTime',
    'modelStatus.**',
    ...[
      'index',
      'finishReason',
      'tokenCount',
      'avgLogprobs',
      'safetyRatings.**',
      'content.role',
    ].map((key) => `${CANDIDATE}.${key}`),
    `${PART}.thought`,
    `${PART}.thoughtSignature`,
    `${PART}.partMetadata.**`,
    'promptFeedback.**',
    'sdkHttpResponse.**',
  ],
  wordless: [
    // The text of a thought; that of the answer is text.
    `${PART}.text`,
    ...['inlineData', 'fileData', 'mediaResolution', 'videoMetadata'].map(
      (key) => `${PART}.${key}.**`,
    ),
    ...[
      'citationMetadata',
      'groundingMetadata',
      'groundingAttributions',
      'urlContextMetadata',
      'logprobsResult',
    ].map((key) => `${CANDIDATE}.${key}.**`),
    `${CANDIDATE}.finishMessage`,
  ],
  tool: [
    ...[
      'functionCall',
      'functionResponse',
      'executableCode',
      'codeExecutionResult',
      'toolCall',
      'toolResponse',
    ].map((key) => `${PART}.${key}.**`),
    'automaticFunctionCallingHistory.**',
  ],
});

/** Gemini. The frame with `finishReason` may hold the last text too. */
export const gemini: BuiltInFormat = defineFormat({
  name: 'gemini',
  framing: 'sse',
  finishMarker: 'needed',
  prefilter: ['finishReason', 'blockReason', ERROR],
  recognises: (frame) =>
    items(member(frame.json, 'candidates')).some(isCandidate) || blockReason(frame) !== undefined,
  fields: () => FIELDS,
  // A blocked prompt has no candidates, and nothing follows.
  terminal: (frame) => reasonOf(frame) !== undefined,
  texts: (frame) =>
    present(
      ...items(member(member(candidate(frame), 'content'), 'parts'))
        .filter((part) => member(part, 'thought') !== true)
        .map((part) => textAt(member(part, 'text'))),
    ),
  failed: (frame) => isErrorObject(frame) || isFailureWord(reasonOf(frame)),
  finishReason: (frame) => reasonOf(frame),
  // Each payload has the counts since the start; the first name of each list excludes tool prompts or thoughts.
  usage: ({ json }) => usageIn(member(json, 'usageMetadata'), INPUT, OUTPUT),
});

const INPUT = ['promptTokenCount', 'toolUsePromptTokenCount'];
const OUTPUT = ['candidatesTokenCount', 'thoughtsTokenCount'];

function candidate(frame: Frame): unknown {
  return items(member(frame.json, 'candidates'))[0];
}

function isCandidate(one: unknown): boolean {
  return isRecord(member(one, 'content')) || word(member(one, 'finishReason')) !== undefined;
}

function reasonOf(frame: Frame): string | undefined {
  const reason = word(member(candidate(frame), 'finishReason'));
  return reason === undefined || reason === 'FINISH_REASON_UNSPECIFIED'
    ? blockReason(frame)
    : reason;
}

function blockReason(frame: Frame): string | undefined {
  return word(member(member(frame.json, 'promptFeedback'), 'blockReason'));
}
