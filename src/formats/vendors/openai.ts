/**
 * OpenAI chat completions and text completions, and the many servers that speak them. Shapes: `ChatCompletionChunk`,
 * `ChatCompletion` and `Completion` of the `openai` package; other servers add keys, leave ids out and send `""` where OpenAI
 * sends null, and must be read all the same.
 */
import { FieldTable } from '../account.ts';
import { isErrorObject, isFailureWord } from '../failure.ts';
import { defineFormat, type BuiltInFormat, type Frame } from '../format.ts';
import { DONE, ERROR, isDone, items, member, textAt, word } from '../json.ts';
import { usageIn } from '../usage.ts';
import { isRecord } from '../../core/values.ts';

/** `delta` in a stream, `message` where a server sends the whole completion in one frame. */
const BOTH = (path: string): string[] => [`choices.*.delta.${path}`, `choices.*.message.${path}`];

const FIELDS = new FieldTable({
  plumbing: [
    'id',
    'object',
    'created',
    'model',
    'system_fingerprint',
    'service_tier',
    'usage.**',
    'choices.*.index',
    'choices.*.finish_reason',
    ...BOTH('role'),
    // `stream_options.include_obfuscation`; Mistral calls it `p`.
    'obfuscation',
    'p',
    // Azure OpenAI, content filter annotations.
    'prompt_filter_results.**',
    'choices.*.content_filter_results.**',
    'choices.*.content_filter_result.**',
    'choices.*.content_filter_offsets.**',
    // OpenRouter `ChatStreamChunk`; Groq `XGroq`; Cerebras and llama.cpp, times; vLLM, why it stopped.
    'provider',
    'choices.*.native_finish_reason',
    'x_groq.id',
    'x_groq.usage.**',
    'x_groq.seed',
    'time_info.**',
    'timings.**',
    'choices.*.stop_reason',
    'choices.*.matched_stop',
    // Together: tokens as numbers, and its finish reason beside the choices.
    'choices.*.seed',
    'choices.*.delta.token_id',
    'finish_reason',
    'token.id',
    'token.logprob',
    'token.special',
    // DeepSeek and gateways: an `error` object without an error.
    'error.code',
  ],
  wordless: [
    // DeepSeek, vLLM and OpenRouter have reasoning; Mistral sends it in parts of `content`.
    ...['reasoning', 'reasoning_content', 'reasoning_details.**'].flatMap(BOTH),
    ...['audio.**', 'annotations.**', 'images.**', 'provider_specific_fields.**'].flatMap(BOTH),
    ...['content.*.thinking.**', 'content.*.type', 'content.*.reference_ids.**'].flatMap(BOTH),
    'choices.*.logprobs.**',
    // LiteLLM `ModelResponseStream`.
    'provider_specific_fields.**',
    // Perplexity.
    'citations.**',
    'search_results.**',
    'images.**',
    'related_questions.**',
  ],
  tool: ['tool_calls.**', 'function_call.**'].flatMap(BOTH),
});

/** OpenAI completions. `[DONE]` alone is a finish marker too: some servers leave `finish_reason` null to the end. */
export const openai: BuiltInFormat = defineFormat({
  name: 'openai',
  framing: 'sse',
  finishMarker: 'needed',
  // Every chunk has `"finish_reason":null`, so only another value than null may be terminal.
  prefilter: [DONE, String.raw`finish_reason"(?!\s*:\s*null)`, ERROR],
  recognises: (frame) => choicesOf(frame).length > 0 && choicesOf(frame).every(isChoice),
  fields: () => FIELDS,
  // Several choices of one answer end one by one; the first end is where a client may stop listening.
  terminal: (frame) => isDone(frame) || reasonIn(frame, isNoCall) !== undefined,
  ends: (frame) => reasonIn(frame) !== undefined,
  texts: (frame) => textsIn(frame, addDelta),
  whole: (frame) => textsIn(frame, addMessage),
  failed: (frame) => isErrorOf(frame) || reasonIn(frame, isFailureWord) !== undefined,
  finishReason: (frame) => reasonIn(frame),
  // Groq sends the usage in the object `x_groq`.
  usage: ({ json }) =>
    usageIn(member(json, 'usage') ?? member(member(json, 'x_groq'), 'usage'), INPUT, OUTPUT),
});

const INPUT = ['prompt_tokens'];
const OUTPUT = ['completion_tokens'];

/** After these reasons the handler runs a tool and the answer continues; if the response ends there, the answer is whole. */
const CALLS: ReadonlySet<string> = new Set(['tool_calls', 'function_call']);

function choicesOf(frame: Frame): readonly unknown[] {
  return items(member(frame.json, 'choices'));
}

function isChoice(choice: unknown): boolean {
  const isDelta = isRecord(member(choice, 'delta')) || isRecord(member(choice, 'message'));
  return isDelta || (typeof member(choice, 'text') === 'string' && isFinishing(choice));
}

/** A home-made list of texts is no completion. */
function isFinishing(choice: unknown): boolean {
  return isRecord(choice) && ('finish_reason' in choice || 'index' in choice);
}

/** The first finish reason of which `holds` is true. Called several times for each frame, so it allocates nothing. */
function reasonIn(frame: Frame, holds = (_reason: string): boolean => true): string | undefined {
  for (const choice of choicesOf(frame)) {
    const reason = word(member(choice, 'finish_reason'));
    if (reason !== undefined && holds(reason)) return reason;
  }
  const beside = word(member(frame.json, 'finish_reason'));
  return beside !== undefined && holds(beside) ? beside : undefined;
}

function isNoCall(reason: string): boolean {
  return !CALLS.has(reason);
}

/** Anthropic's errors have `error` too, and a `type` beside it; vLLM's have `object: "error"`. */
function isErrorOf(frame: Frame): boolean {
  if (member(frame.json, 'object') === 'error') return true;
  return isErrorObject(frame) && member(frame.json, 'type') === undefined;
}

/** The text of several choices does not come in one order; only the first has a place in the text. */
function isFirst(choice: unknown): boolean {
  const index = member(choice, 'index');
  return index === 0 || typeof index !== 'number';
}

/** The texts that `add` finds in the first choice. */
function textsIn(frame: Frame, add: (texts: string[], choice: unknown) => void): readonly string[] {
  const texts: string[] = [];
  for (const choice of choicesOf(frame)) if (isFirst(choice)) add(texts, choice);
  return texts;
}

/** Together has `text` beside `delta`: the same text. */
function addDelta(texts: string[], choice: unknown): void {
  const { length } = texts;
  addTexts(texts, member(choice, 'delta'));
  if (texts.length === length) addText(texts, member(choice, 'text'));
}

function addMessage(texts: string[], choice: unknown): void {
  addTexts(texts, member(choice, 'message'));
}

/** A refusal is shown to the user, so it is part of the text. Mistral's content may be parts. */
function addTexts(texts: string[], delta: unknown): void {
  const content = member(delta, 'content');
  addText(texts, content);
  for (const part of items(content)) {
    if (member(part, 'type') === 'text') addText(texts, member(part, 'text'));
  }
  addText(texts, member(delta, 'refusal'));
}

function addText(texts: string[], value: unknown): void {
  const text = textAt(value);
  if (text !== undefined) texts.push(text);
}
