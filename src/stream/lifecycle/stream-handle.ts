/** What an app may know of, and do to, one of its streams. */
import type { Outcome, Side } from '../../core/message.ts';
import { stop } from './ending.ts';
import type { Stream } from './stream.ts';

export interface StreamHandle {
  readonly id: string;
  readonly messageId: string;
  readonly conversationId: string | null;
  /** Aborts when the work is no longer wanted; give it to whatever the handler waits for. */
  readonly signal: AbortSignal;
  /** `undefined` until the stream has ended. */
  readonly outcome: Outcome | undefined;
  readonly side: Side | undefined;
  /** Ends the stream as `stopped`, by the server. False when there is nothing to stop. */
  stop(reason?: string): boolean;
}

export function handleOf(stream: Stream): StreamHandle {
  return {
    id: stream.id,
    get messageId() {
      return stream.identity.id;
    },
    get conversationId() {
      return stream.identity.conversationId;
    },
    get signal() {
      return stream.stopSignal.signal;
    },
    get outcome() {
      return stream.terminal?.outcome;
    },
    get side() {
      return stream.terminal?.side;
    },
    stop: (reason = 'stopped by the server') => stop(stream, reason, 'server'),
  };
}
