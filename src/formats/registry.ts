/** Every format that ships with lastchunk, and how one is found by name or by content. */
import { aiSdk } from './vendors/ai-sdk.ts';
import { aiSdkData } from './vendors/ai-sdk-data.ts';
import { anthropic } from './vendors/anthropic.ts';
import type { BuiltInFormat, Format, Frame } from './format.ts';
import { gemini } from './vendors/gemini.ts';
import { genericNdjson, genericSse } from './vendors/generic.ts';
import { ollama } from './vendors/ollama.ts';
import { openaiResponses } from './vendors/openai-responses.ts';
import { openai } from './vendors/openai.ts';
import { plainText } from './vendors/plain-text.ts';

/** The formats that are recognised by content, in any framing: each is in use over SSE and over NDJSON. */
export const VENDORS: readonly BuiltInFormat[] = [
  openai,
  aiSdk,
  anthropic,
  openaiResponses,
  gemini,
  ollama,
];

/** The format by framing, for a body in which no vendor's format is found. */
export const FALLBACK = {
  sse: genericSse,
  ndjson: genericNdjson,
  elements: genericNdjson,
  parts: aiSdkData,
  text: plainText,
} as const;

/** All of them. */
export const BUILT_INS: readonly BuiltInFormat[] = [
  ...VENDORS,
  aiSdkData,
  genericSse,
  genericNdjson,
  plainText,
];

/** Values that `format` takes, besides an object. */
export const FORMAT_NAMES: readonly string[] = ['auto', ...BUILT_INS.map((format) => format.name)];

const BY_IDENTITY: ReadonlyMap<Format, BuiltInFormat> = new Map(
  BUILT_INS.map((format) => [format, format] as const),
);

/** The built-in format of that name; `undefined` for `auto` and for the name of a custom format. */
export function formatNamed(name: string): BuiltInFormat | undefined {
  return BUILT_INS.find((format) => format.name === name);
}

/** The same format with its built-in functions; `undefined` for a custom format. */
export function asBuiltIn(format: Format): BuiltInFormat | undefined {
  return BY_IDENTITY.get(format);
}

/** Whether it is a generic format: the one for bodies in which no vendor's format is found. */
export function isNobodys(format: Format): boolean {
  return format === genericSse || format === genericNdjson;
}

/** The vendor format that alone would send this frame. */
export function recognise(frame: Frame): BuiltInFormat | undefined {
  if (frame.json === undefined) return undefined;
  return VENDORS.find((format) => format.recognises(frame));
}
