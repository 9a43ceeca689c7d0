/** The facts of streams, for tests and for the processes that they start. */
import type { Ending } from '../../src/journal/port.ts';
import type { OpenedStream } from '../../src/core/save-port.ts';

/** What a stream is known by; `n` makes it its own. */
export function stream(n: number | string, more: Partial<OpenedStream> = {}): OpenedStream {
  return {
    id: `stream-${n}`,
    messageId: `message-${n}`,
    conversationId: 'conversation',
    role: 'assistant',
    metadata: { topic: 'tea' },
    route: '/chat/:id',
    format: 'auto',
    contentType: 'text/event-stream',
    contentEncoding: 'identity',
    events: false,
    startedAtMs: 1_700_000_000_000 + (typeof n === 'number' ? n : 0),
    traceparent: null,
    ...more,
  };
}

/** How a stream ended. */
export function ending(of: OpenedStream, more: Partial<Ending> = {}): Ending {
  return {
    id: of.messageId,
    streamId: of.id,
    conversationId: of.conversationId,
    role: of.role,
    metadata: of.metadata,
    complete: true,
    outcome: 'completed',
    side: 'server',
    revision: 0,
    chunks: 1,
    bytes: 1,
    droppedBytes: 0,
    traceId: null,
    startedAt: new Date(of.startedAtMs),
    endedAt: new Date(of.startedAtMs + 1000),
    ...more,
  };
}
