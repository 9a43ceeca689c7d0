/** How streams say that an answer failed: finish words and members, by the documents of those who send them. */
import { isRecord } from '../core/values.ts';
import { isVoid, member, typeOf } from './json.ts';
import type { Frame } from './format.ts';

/** Finish words of an answer that failed. What merely stops one (`length`, `content_filter`, `SAFETY`) is not here. */
const FAILURE_WORDS: ReadonlySet<string> = new Set([
  // AI SDK `FinishReason`; OpenRouter's normalised `finish_reason`; Mistral `CompletionResponseStreamChoice`.
  'error',
  // vLLM and SGLang `FINISH_ABORT`.
  'abort',
  'aborted',
  // Zhipu GLM, `finish_reason` of its chat completions.
  'network_error',
  // DeepSeek, `finish_reason` of its chat completions.
  'insufficient_system_resource',
  // Gemini `FinishReason`.
  'MALFORMED_FUNCTION_CALL',
  'UNEXPECTED_TOOL_CALL',
  'MALFORMED_RESPONSE',
  'TOO_MANY_TOOL_CALLS',
  // Cohere `ChatFinishReason` and `FinishReason`.
  'ERROR',
  'ERROR_TOXIC',
  'ERROR_LIMIT',
  'TIMEOUT',
  'USER_CANCEL',
  // OpenAI Responses `ResponseStatus`.
  'failed',
  'cancelled',
]);

/** Whether a finish word says that the answer failed. */
export function isFailureWord(finishReason: string | undefined): boolean {
  return finishReason !== undefined && FAILURE_WORDS.has(finishReason);
}

/**
 * A member `error` with something in it: OpenAI, Gemini, Ollama, and most home-made streams; or `object: "error"` (vLLM). With a
 * `type` of its own it is news of a part (a tool that failed), and the answer goes on.
 */
export function isErrorObject(frame: Frame): boolean {
  const { json } = frame;
  if (!isRecord(json)) return false;
  const type = member(json, 'type');
  if (member(json, 'object') === 'error') return true;
  if (type !== undefined && type !== 'error') return false;
  return saysSomething(member(json, 'error'));
}

/** An event, a type or an object named error: home-made streams, Dify, AG-UI. */
export function isErrorFrame(frame: Frame): boolean {
  if (frame.event === 'error' || isErrorObject(frame)) return true;
  const type = typeOf(frame);
  return type === 'error' || type === 'RUN_ERROR' || member(frame.json, 'event') === 'error';
}

/** `{}`, `null`, `false` and `{"code":0}` beside healthy content are no error. */
function saysSomething(error: unknown): boolean {
  if (typeof error === 'string') return error !== '';
  if (error === true) return true;
  return isRecord(error) && Object.values(error).some((value) => !isVoid(value) && value !== 0);
}
