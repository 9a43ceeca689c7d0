/**
 * The AI SDK's data stream, versions 3 and 4: lines of a code, a colon and JSON, as `0:"Hello"`. Shapes: `dataStreamParts` of
 * `@ai-sdk/ui-utils` 1.2 and `streamParts` of `ai` 3. It is recognised by its framing.
 */
import { FieldTable } from '../account.ts';
import { isFailureWord } from '../failure.ts';
import { defineFormat, type BuiltInFormat, type Frame } from '../format.ts';
import { member, present, rowOf, textAt, word } from '../json.ts';
import { usageIn } from '../usage.ts';

const STEP = new FieldTable({
  plumbing: ['messageId', 'finishReason', 'usage.**', 'isContinued'],
});
const WORDLESS = new FieldTable({ wordless: ['**'] });
const TOOL = new FieldTable({ tool: ['**'] });

/** By code. */
const FIELDS: Readonly<Record<string, FieldTable>> = {
  // 1 and 7: calls of version 3; 9 to c: of version 4.
  ...Object.fromEntries('179abc'.split('').map((code) => [code, TOOL])),
  // Data of the app, messages, annotations, reasoning, sources, files.
  ...Object.fromEntries('24568ghijk'.split('').map((code) => [code, WORDLESS])),
  ...Object.fromEntries('def'.split('').map((code) => [code, STEP])),
};
const OTHER = new FieldTable({});

/** The AI SDK's data stream. */
export const aiSdkData: BuiltInFormat = defineFormat({
  name: 'ai-sdk-data',
  framing: 'ndjson',
  finishMarker: 'needed',
  // `d:` and `3:` at the beginning of a line.
  prefilter: [String.raw`(?:^|\n)[d3]:`],
  recognises: () => false,
  fields: (frame) => rowOf(FIELDS, frame.event ?? '') ?? OTHER,
  terminal: (frame) => frame.event === 'd',
  texts: (frame) => (frame.event === '0' ? present(textAt(frame.json)) : []),
  failed: (frame) => frame.event === '3' || isFailureWord(reasonOf(frame)),
  finishReason: reasonOf,
  // The counts of all steps together.
  usage: ({ event, json }) =>
    event === 'd'
      ? usageIn(member(json, 'usage'), ['promptTokens'], ['completionTokens'])
      : undefined,
});

/** The finish reason; that of a step counts until the message has one. */
function reasonOf({ event, json }: Frame): string | undefined {
  return event === 'd' || event === 'e' ? word(member(json, 'finishReason')) : undefined;
}
