/** Finds a stream by its id or by its conversation: in this process, or through the relay in another one. */
import { conversationKey } from '../../core/identifiers.ts';
import { isRecord } from '../../core/values.ts';
import type { RelayInstance } from '../../relay/instance.ts';
import type { RelayEnd, RelayRecord } from '../../relay/port.ts';
import { parseHead, type ResumableHead } from '../../relay/source.ts';
import type { OpenedStream } from '../../core/save-port.ts';

/** A stream as `authorize` of `resumeHandler()` sees it, wherever it is live. */
export interface ResumableStream {
  readonly id: string;
  readonly messageId: string;
  readonly conversationId: string | null;
  readonly route: string;
  /** What `message` of the guard named when the stream began. */
  readonly metadata: Readonly<Record<string, unknown>> | null;
}

/** A stream that was found, in this process or in another one. */
export interface FoundStream {
  readonly stream: ResumableStream;
  /** `undefined`: it cannot be resumed, because its body is not kept byte for byte. */
  readonly response: ResumableHead | undefined;
  readonly end: RelayEnd | null;
  /** W3C `traceparent` of the stream's span, in whichever process that was made. */
  readonly traceparent: string | null;
}

/** Looks in this process first. `undefined` for an unknown stream; rejects when the engine has to be asked and is unavailable. */
export async function findStream(
  relay: RelayInstance,
  target: unknown,
): Promise<FoundStream | undefined> {
  if (!isRecord(target)) return undefined;
  const { streamId, conversationId } = target;
  if (typeof streamId === 'string') {
    return ofThisProcess(relay, streamId) ?? ofRecord(await relay.find({ streamId }));
  }
  if (typeof conversationId !== 'string') return undefined;
  // The same key that the guard made of the conversation's name.
  const key = conversationKey(conversationId);
  const own = relay.newestOf(key);
  if (own !== undefined) return ofThisProcess(relay, own);
  return ofRecord(await relay.find({ conversationId: key }));
}

function ofThisProcess(relay: RelayInstance, streamId: string): FoundStream | undefined {
  const live = relay.streamOf(streamId);
  if (live === undefined) return undefined;
  const { opened, head, isExact, conversationId } = live.source;
  return {
    stream: streamFrom({ ...opened, conversationId }),
    response: isExact ? head : undefined,
    end: live.localEnd,
    traceparent: opened.traceparent,
  };
}

/** The stream of a record of the engine; `undefined` for a head that cannot be read. */
export function ofRecord(record: RelayRecord | undefined): FoundStream | undefined {
  const head = record && parseHead(record.head);
  if (record === undefined || head === undefined) return undefined;
  const conversationId = head.opened.conversationId ?? record.conversationId;
  return {
    stream: streamFrom({ ...head.opened, conversationId }),
    response: head.response,
    end: record.end,
    traceparent: head.opened.traceparent,
  };
}

function streamFrom(opened: OpenedStream): ResumableStream {
  const { id, messageId, conversationId, route, metadata } = opened;
  return { id, messageId, conversationId, route, metadata };
}
