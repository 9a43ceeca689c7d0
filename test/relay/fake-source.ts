/** A stream as its owner shows it to the relay, whose every field a test may change. */
import type { OpenedStream, Piece } from '../../src/core/save-port.ts';
import type { RelaySource, SourceEnd } from '../../src/relay/source.ts';

/** Everything that a stream can be opened with. */
export const OPENED: Required<OpenedStream> = {
  id: 's',
  messageId: 'm',
  conversationId: 'c',
  role: 'assistant',
  metadata: { of: 'the app' },
  route: '/chat/:id',
  format: 'auto',
  contentType: 'text/event-stream',
  contentEncoding: 'identity',
  events: true,
  startedAtMs: 1,
  maxBytes: 1_024,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
};

/** A stream that has just begun. */
export function createSource(id = OPENED.id) {
  const pieces: Piece[] = [];
  return {
    opened: { ...OPENED, id } as OpenedStream,
    head: { status: 200, headers: [['content-type', 'text/event-stream']] as const },
    body: { pieces },
    isExact: true as boolean,
    isWhole: true as boolean,
    heldFrom: undefined as number | undefined,
    conversationId: 'c' as string | null,
    end: undefined as SourceEnd | undefined,
  } satisfies RelaySource;
}

/** A regular end, whose message is in the store. */
export const END: SourceEnd = { isTidy: true, outcome: 'completed', save: 'saved' };
