/**
 * The tables of three more formats against the types that their vendors publish. Each list is complete by its type: the
 * compiler asks for a line here when a version of the SDK brings another kind of frame.
 */
import type {
  ContentBlock,
  RawContentBlockDelta,
  RawMessageStreamEvent,
} from '@anthropic-ai/sdk/resources/messages';
import { FinishReason, type GenerateContentResponse, type Part } from '@google/genai';
import type { ChatResponse, Message } from 'ollama';
import { describe, expect, it } from 'vitest';
import { anthropic } from '../../../src/formats/vendors/anthropic.ts';
import type { Carries, Frame } from '../../../src/formats/format.ts';
import { gemini } from '../../../src/formats/vendors/gemini.ts';
import { ollama } from '../../../src/formats/vendors/ollama.ts';

function frame(json: object): Frame {
  return { data: JSON.stringify(json), event: undefined, json };
}

/** Where a delta has what it adds. */
const DELTA_MEMBERS: Readonly<Record<string, string>> = {
  text_delta: 'text',
  input_json_delta: 'partial_json',
  thinking_delta: 'thinking',
  citations_delta: 'citation',
  signature_delta: 'signature',
};

describe('Anthropic messages', () => {
  const events: Record<RawMessageStreamEvent['type'], Carries> = {
    message_start: 'nothing',
    message_delta: 'nothing',
    message_stop: 'nothing',
    content_block_start: 'nothing',
    content_block_delta: 'content',
    content_block_stop: 'nothing',
  };
  /** The member by which a type is known. */
  const members: Record<RawMessageStreamEvent['type'], object> = {
    message_start: { message: { id: 'msg_1', role: 'assistant', content: [] } },
    message_delta: { delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } },
    message_stop: {},
    content_block_start: { index: 0, content_block: { type: 'text', text: '' } },
    content_block_delta: { index: 0, delta: { type: 'text_delta', text: 'hi' } },
    content_block_stop: { index: 0 },
  };
  const deltas: Record<RawContentBlockDelta['type'], Carries> = {
    text_delta: 'content',
    input_json_delta: 'content',
    thinking_delta: 'content',
    citations_delta: 'content',
    signature_delta: 'nothing',
  };
  /** What a block carries when it begins: two kinds are empty then and filled by deltas. */
  const blocks: Record<ContentBlock['type'], Carries> = {
    text: 'nothing',
    thinking: 'nothing',
    redacted_thinking: 'content',
    tool_use: 'content',
    server_tool_use: 'content',
    web_search_tool_result: 'content',
    web_fetch_tool_result: 'content',
    code_execution_tool_result: 'content',
    bash_code_execution_tool_result: 'content',
    text_editor_code_execution_tool_result: 'content',
    tool_search_tool_result: 'content',
    container_upload: 'content',
  };

  it.each(Object.entries(members))('recognises a %s by its member', (type, rest) => {
    const carries = new Map<string, Carries>(Object.entries(events)).get(type);
    expect(anthropic.carries(frame({ type, ...rest }))).toBe(carries);
    expect(anthropic.recognises(frame({ type, ...rest }))).toBe(true);
    expect(anthropic.recognises(frame({ type, text: 'hi' }))).toBe(type === 'message_stop');
    expect(anthropic.carries(frame({ type, ...rest, hologram: 'x' }))).toBe('unknown');
  });

  it.each(Object.entries(deltas))('classifies %s as %s', (type, expected) => {
    const delta = { type, [DELTA_MEMBERS[type] ?? '']: 'x' };
    expect(anthropic.carries(frame({ type: 'content_block_delta', delta }))).toBe(expected);
  });

  it.each(Object.entries(blocks))('classifies a block %s as %s', (type, expected) => {
    const content_block = { type, text: '', ...(expected === 'nothing' ? {} : { data: 'x' }) };
    expect(anthropic.carries(frame({ type: 'content_block_start', content_block }))).toBe(expected);
  });
});

/** Members of a part that are about it. */
type About = 'thoughtSignature' | 'partMetadata';

describe('Gemini', () => {
  /** What a part holds beside its text, and whether it belongs to the call of a tool. */
  const parts: Record<Exclude<keyof Part, 'text' | 'thought' | About>, boolean> = {
    codeExecutionResult: true,
    executableCode: true,
    functionCall: true,
    functionResponse: true,
    toolCall: true,
    toolResponse: true,
    fileData: false,
    inlineData: false,
    mediaResolution: false,
    videoMetadata: false,
  };
  const FAILED: ReadonlySet<FinishReason> = new Set([
    FinishReason.MALFORMED_FUNCTION_CALL,
    FinishReason.UNEXPECTED_TOOL_CALL,
  ]);
  const withPart = (part: object): Frame =>
    frame({ candidates: [{ content: { role: 'model', parts: [part] } }] });

  it.each(Object.entries(parts))(
    'classifies a part with %s as content; as a tool call: %s',
    (key, tool) => {
      const part = withPart({ [key]: { name: 'x' } });
      expect(gemini.carries(part)).toBe('content');
      expect(gemini.text(part)).toBe('');
      expect(gemini.toolCall(part)).toBe(tool);
    },
  );

  it.each(Object.values(FinishReason))('is finished by %s', (finishReason) => {
    const end = frame({
      candidates: [{ finishReason }],
    } satisfies Partial<GenerateContentResponse>);
    const isReason = finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED;
    const carries = FAILED.has(finishReason) ? 'error' : 'nothing';
    expect([gemini.terminal(end), gemini.carries(end)]).toEqual([isReason, carries]);
  });
});

describe('Ollama', () => {
  const line: ChatResponse = {
    model: 'm',
    created_at: new Date(0),
    message: { role: 'assistant', content: '' },
    done: false,
    done_reason: '',
    total_duration: 0,
    load_duration: 0,
    prompt_eval_count: 0,
    prompt_eval_duration: 0,
    eval_count: 0,
    eval_duration: 0,
  };
  const members: Record<keyof Message, readonly [value: unknown, Carries]> = {
    role: ['assistant', 'nothing'],
    content: ['hi', 'content'],
    thinking: ['hm', 'content'],
    images: [['aGk='], 'content'],
    tool_calls: [[{ function: { name: 'f', arguments: {} } }], 'content'],
    tool_name: ['f', 'nothing'],
  };

  it.each(Object.entries(members))('classifies a message with %s', (key, [value, expected]) => {
    const message = { ...line.message, [key]: value };
    expect(ollama.carries(frame({ ...line, message }))).toBe(expected);
  });

  it('is finished by its last line', () => {
    expect(ollama.terminal(frame(line))).toBe(false);
    expect(ollama.terminal(frame({ ...line, done: true, done_reason: 'stop' }))).toBe(true);
  });
});
