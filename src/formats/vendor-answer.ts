/** Whole JSON answers of vendors, as they send them where nothing streams: on a guarded route each is an answer of one chunk. */
import type { Frame } from './format.ts';
import { parseJson } from './json.ts';
import { VENDORS } from './registry.ts';

/** Larger bodies are not looked into: more than any model's answer, and parsing one takes tens of milliseconds. */
const MAX_CHARACTERS = 4 * 1024 * 1024;

/** A body with none of these words is of no vendor. */
const WORDS = /"(?:choices|candidates|promptFeedback|output|content|done)"/;

/**
 * Whether a body of `application/json` is the answer of a model: OpenAI's `chat.completion` or `response`, Anthropic's `message`,
 * Gemini's `candidates`, Ollama's last line. Anything else, an error included, is none. Never throws.
 * `body` is what a handler gives to `end`: text, or bytes of UTF-8.
 */
export function isVendorAnswer(body: unknown): boolean {
  const text = textOf(body);
  if (text === undefined || text.length > MAX_CHARACTERS || !WORDS.test(text)) return false;
  const json = parseJson(text);
  const payloads: readonly unknown[] = Array.isArray(json) ? json : [json];
  const last: Frame = { data: '', event: undefined, json: payloads.at(-1) };
  return VENDORS.some(
    (format) => format.recognises(last) && (format.terminal(last) || format.ends(last)),
  );
}

function textOf(body: unknown): string | undefined {
  if (typeof body === 'string') return body;
  if (!(body instanceof Uint8Array) || body.byteLength > MAX_CHARACTERS) return undefined;
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
}
