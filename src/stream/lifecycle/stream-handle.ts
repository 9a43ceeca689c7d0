/** What an app may know of, and do to, one of its streams. */
import type { Outcome, Side } from '../../core/message.ts';
import type { LateIdentity } from '../body/identity.ts';
import { stop } from './ending.ts';
import type { Stream } from './stream.ts';

/** One guarded stream, for its handler and for code that may stop it: `keep.stream(res)`. */
export interface StreamHandle {
  /** Sent as `X-Stream-Id`. */
  readonly id: string;
  /** Sent as `X-Message-Id`. */
  readonly messageId: string;
  /** What the app named so far; `null` without one. */
  readonly conversationId: string | null;
  /** Aborts when the work is no longer wanted; give it to whatever the handler waits for. */
  readonly signal: AbortSignal;
  /** `undefined` until the stream has ended. */
  readonly outcome: Outcome | undefined;
  /** Who ended it; `undefined` until then. */
  readonly side: Side | undefined;
  /**
   * Says whose message this is, where the app knows it later than the option `message` is asked: any time before the message
   * is settled (at its finish marker or its end). False after that. A process that dies before leaves a row with what was
   * known when the stream began. Throws `bad-option` for a field of the wrong type.
   */
  identify(identity: LateIdentity): boolean;
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
    identify: (given) => {
      const open = stream.guarded && (stream.terminal === undefined || stream.phase.isUnsettled);
      if (open) stream.identity.identify(given);
      return open;
    },
    stop: (reason = 'stopped by the server') => stop(stream, reason, 'server'),
  };
}
