/**
 * A whole answer in one JSON body: what a model's API sends where it does not stream, handed on by an app on a route that
 * streams as a rule. On a guarded route it is an answer like any other, saved like a stream of one chunk.
 */
import { isRecord } from '../../core/values.ts';

/** Larger bodies are not looked into: more than any model's answer, and parsing one takes tens of milliseconds. */
const MAX_CHARACTERS = 4 * 1024 * 1024;

/** A word that each shape has, looked for before anything is parsed. */
const WORDS = /"(?:chat\.completion|text_completion|message|candidates|response)"/;

/** The shapes, each with the type of its vendor's SDK. */
const SHAPES: readonly ((body: Record<string, unknown>) => boolean)[] = [
  // openai: `ChatCompletion`, `Completion`.
  ({ object, choices }) =>
    (object === 'chat.completion' || object === 'text_completion') && Array.isArray(choices),
  // openai: `Response`.
  ({ object, output }) => object === 'response' && Array.isArray(output),
  // @anthropic-ai/sdk: `Message`.
  ({ type, role, content }) => type === 'message' && role === 'assistant' && Array.isArray(content),
  // @google/genai: `GenerateContentResponse`.
  ({ candidates }) => Array.isArray(candidates) && candidates.some(isGeminiCandidate),
];

/** Whether the body of an `application/json` response, as it is given to `end`, is a whole answer. */
export function isWholeAnswer(body: unknown): boolean {
  const text = textOf(body);
  if (text === undefined || text.length > MAX_CHARACTERS || !WORDS.test(text)) return false;
  try {
    const parsed: unknown = JSON.parse(text);
    return isRecord(parsed) && SHAPES.some((fits) => fits(parsed));
  } catch {
    // It says that it is JSON and is not: the app's own affair.
    return false;
  }
}

function isGeminiCandidate(candidate: unknown): boolean {
  return isRecord(candidate) && isRecord(candidate['content']);
}

function textOf(body: unknown): string | undefined {
  if (typeof body === 'string') return body;
  if (!(body instanceof Uint8Array) || body.byteLength > MAX_CHARACTERS) return undefined;
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
}
