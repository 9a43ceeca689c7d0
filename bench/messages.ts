/** Messages as a chat app makes them: 2 KB of words, no two alike. */
import { v7 } from 'uuid';
import type { Message } from '../src/core/message.ts';

/** Bytes of text in one message. */
const TEXT_BYTES = 2_048;

const WORDS = 'when a client has seen it the database must have it also whatever happens'.split(
  ' ',
);

/** A complete answer, new each time. */
export function newMessage(): Message {
  const id = v7();
  const now = new Date();
  return {
    id,
    streamId: id,
    conversationId: `conversation-${Math.floor(Math.random() * 1_000)}`,
    role: 'assistant',
    text: words(TEXT_BYTES),
    events: null,
    metadata: { lastchunk: { finishReason: 'stop' } },
    complete: true,
    outcome: 'completed',
    side: 'server',
    revision: 0,
    chunks: 400,
    bytes: 60_000,
    droppedBytes: 0,
    traceId: null,
    startedAt: now,
    endedAt: now,
  };
}

/** So many bytes of text, with numbers in it so that it does not compress to nothing. */
export function words(bytes: number): string {
  let text = '';
  while (text.length < bytes) {
    text += `${WORDS[Math.floor(Math.random() * WORDS.length)]} ${Math.random().toString(36).slice(2, 7)} `;
  }
  return text.slice(0, bytes);
}
