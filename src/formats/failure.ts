/** How streams show that an answer failed: finish reasons and members, from the documentation of each sender. */
import { isRecord } from '../core/values.ts';
import { isVoid, member, typeOf } from './json.ts';
import type { Frame } from './format.ts';

/** Finish reasons of a failed answer. Reasons that only stop an answer (`length`, `content_filter`, `SAFETY`) are not here. */
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

/** Whether a finish reason is that of a failed answer. */
export function isFailureWord(finishReason: string | undefined): boolean {
  return finishReason !== undefined && FAILURE_WORDS.has(finishReason);
}

/**
 * Whether a payload has a member `error` that is not empty (OpenAI, Gemini, Ollama, most home-made streams), or `object: "error"`
 * (vLLM). With another `type` than `error` it is about a part of the answer, such as a tool that failed, and the answer continues.
 */
export function isErrorObject(frame: Frame): boolean {
  const { json } = frame;
  if (!isRecord(json)) return false;
  const type = member(json, 'type');
  if (member(json, 'object') === 'error') return true;
  if (type !== undefined && type !== 'error') return false;
  return saysSomething(member(json, 'error'));
}

/** Whether the event, the type or the object is named `error`, as in home-made streams, Dify and AG-UI. */
export function isErrorFrame(frame: Frame): boolean {
  if (frame.event === 'error' || isErrorObject(frame)) return true;
  const type = typeOf(frame);
  return type === 'error' || type === 'RUN_ERROR' || member(frame.json, 'event') === 'error';
}

/** Whether the value of `error` is an error: `{}`, `null`, `false` and `{"code":0}` occur beside normal content. */
function saysSomething(error: unknown): boolean {
  if (typeof error === 'string') return error !== '';
  if (error === true) return true;
  return isRecord(error) && Object.values(error).some((value) => !isVoid(value) && value !== 0);
}
