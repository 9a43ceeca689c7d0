/** Whole JSON answers of vendors, as they send them without streaming: on a guarded route each counts as a stream. */
import type { Frame } from './format.ts';
import { parseJson } from './json.ts';
import { VENDORS } from './registry.ts';

/** Longer bodies are recognised by their beginning: parsing them would take milliseconds. */
const MAX_PARSED_CHARS = 65_536;
/** The part of a body that counts as its beginning. */
const ANSWER_BEGINNING_CHARS = 1_024;

/** A body with none of these members is not the answer of a vendor. */
const WORDS = /"(?:choices|candidates|promptFeedback|output|content|done)"/;

/**
 * How the answers begin, before there is much text in them: OpenAI's `chat.completion`, `text_completion` and `response`;
 * Anthropic's `message`; Gemini's `candidates`, also in the array of a stream without `alt=sse`; Ollama's `model` and `created_at`.
 */
const BEGINNINGS = [
  /^\s*\{[^]*?"object"\s*:\s*"(?:chat\.completion|text_completion|response)"/,
  /^\s*\{(?=[^]*?"type"\s*:\s*"message")[^]*?"role"\s*:\s*"assistant"/,
  /^\s*\[?\s*\{\s*"(?:candidates|promptFeedback)"\s*:/,
  /^\s*\{\s*"model"\s*:\s*"[^"]*"\s*,\s*"created_at"\s*:/,
];

/**
 * Whether a body of `application/json` is the answer of a model: OpenAI's `chat.completion` or `response`, Anthropic's `message`,
 * Gemini's `candidates`, Ollama's last line. Anything else, an error included, is none. Never throws.
 * `body` is what a handler gives to `end`: text, or bytes of UTF-8.
 */
export function isVendorAnswer(body: unknown): boolean {
  if (lengthOf(body) > MAX_PARSED_CHARS) return beginsVendorAnswer(body);
  const text = textOf(body, MAX_PARSED_CHARS);
  if (text === undefined || !WORDS.test(text)) return false;
  const json = parseJson(text);
  const payloads: readonly unknown[] = Array.isArray(json) ? json : [json];
  const last: Frame = { data: '', event: undefined, json: payloads.at(-1) };
  return VENDORS.some(
    (format) => format.recognises(last) && (format.terminal(last) || format.ends(last)),
  );
}

/**
 * Whether a body of `application/json` that comes in pieces begins like such an answer. The first piece has to show it, because its
 * bytes are not delayed until the second. Never throws.
 */
export function beginsVendorAnswer(piece: unknown): boolean {
  const beginning = textOf(piece, ANSWER_BEGINNING_CHARS);
  return beginning !== undefined && BEGINNINGS.some((shape) => shape.test(beginning));
}

function lengthOf(body: unknown): number {
  return typeof body === 'string' || body instanceof Uint8Array ? body.length : 0;
}

/** The first characters of a body; `undefined` where it is neither text nor bytes. */
function textOf(body: unknown, chars: number): string | undefined {
  if (typeof body === 'string') return body.slice(0, chars);
  if (!(body instanceof Uint8Array)) return undefined;
  return Buffer.from(body.buffer, body.byteOffset, Math.min(chars, body.byteLength)).toString();
}
