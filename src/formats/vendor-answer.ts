/** Whole JSON answers of vendors, as they send them where nothing streams: on a guarded route each is an answer of one chunk. */
import type { Frame } from './format.ts';
import { parseJson } from './json.ts';
import { VENDORS } from './registry.ts';

/** A body with none of these words is of no vendor. */
const WORDS = /"(?:choices|candidates|promptFeedback|output|content|done)"/;

/**
 * Whether a body of `application/json` is the answer of a model: OpenAI's `chat.completion` or `response`, Anthropic's `message`,
 * Gemini's `candidates`, Ollama's last line. Anything else, an error included, is none. Never throws.
 */
export function isVendorAnswer(body: string): boolean {
  if (!WORDS.test(body)) return false;
  const json = parseJson(body);
  const payloads: readonly unknown[] = Array.isArray(json) ? json : [json];
  const last: Frame = { data: '', event: undefined, json: payloads.at(-1) };
  return VENDORS.some(
    (format) => format.recognises(last) && (format.terminal(last) || format.ends(last)),
  );
}
