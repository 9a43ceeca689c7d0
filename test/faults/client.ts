/** One client: asks, reads frame by frame, leaves when it was told to, and notes what it really got. */
import { type Agent, request, type ClientRequest } from 'node:http';
import { createParser } from 'eventsource-parser';
import type { Conversation, Leave } from './conversation.ts';

/** A client of an app that was stopped or killed behind a namespace would otherwise wait for ever. */
const PATIENCE_MS = 60_000;

/**
 * Asks and reads. Resolves when the answer is over, however it ended; never rejects. `agent` keeps connections; without it
 * each conversation has its own.
 */
export function converse(
  conversation: Conversation,
  base: string,
  agent: Agent | false = false,
): Promise<void> {
  return new Promise((resolve) => {
    const ask = request(new URL(`/chat/${conversation.id}`, base), {
      method: 'POST',
      agent,
      timeout: PATIENCE_MS,
      headers: { 'content-type': 'application/json' },
    });
    const parser = createParser({ onEvent: ({ data }) => take(conversation, ask, data) });
    ask.on('response', (answer) => {
      conversation.status = answer.statusCode;
      conversation.streamId = headerOf(answer.headers['x-stream-id']);
      conversation.messageId = headerOf(answer.headers['x-message-id']);
      answer.setEncoding('utf8').on('data', (piece: string) => parser.feed(piece));
      // A connection that breaks is what this is about; what came before it counts.
      answer.on('error', () => {});
    });
    ask.on('timeout', () => ask.destroy());
    // The same: refused, reset and our own leaving all end in 'close'.
    ask.on('error', () => {});
    ask.on('close', () => resolve());
    ask.end(JSON.stringify(conversation.ask));
  });
}

function take(conversation: Conversation, ask: ClientRequest, data: string): void {
  // Frames that came in one piece with the one it left at were not read.
  if (ask.destroyed) return;
  const { leave } = conversation;
  if (data === '[DONE]') return leaveAt(ask, leave, 'done');
  // A frame of our own app.
  const { choices } = JSON.parse(data) as {
    choices: readonly { delta: { content?: string }; finish_reason: string | null }[];
  };
  const content = choices[0]?.delta.content;
  if (content !== undefined) {
    conversation.seen += content;
    conversation.tokens += 1;
    leaveAt(ask, leave, conversation.tokens);
  }
  if (choices[0]?.finish_reason === 'stop') {
    conversation.sawFinish = true;
    leaveAt(ask, leave, 'finish');
  }
}

function leaveAt(ask: ClientRequest, leave: Leave | undefined, at: Leave['at']): void {
  if (leave?.at !== at) return;
  if (leave.by === 'rst') ask.socket?.resetAndDestroy();
  ask.destroy();
}

function headerOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
