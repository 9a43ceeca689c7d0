/** What an app may read of, and do to, one of its streams. */
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
  /** The conversation that the app has named so far; `null` without one. */
  readonly conversationId: string | null;
  /** Aborts when the work is no longer wanted; pass it to every call that the handler awaits. */
  readonly signal: AbortSignal;
  /** `undefined` until the stream has ended. */
  readonly outcome: Outcome | undefined;
  /** Who ended it; `undefined` until then. */
  readonly side: Side | undefined;
  /**
   * Names the message, where the app learns the names later than the option `message` is called: at any time before the message is
   * settled (at its finish marker or its end). Returns false after that. If the process dies before, the row has the names that were
   * known when the stream began. Throws `bad-option` for a field of the wrong type.
   */
  identify(identity: LateIdentity): boolean;
  /** Ends the stream with the outcome `stopped` and the side `server`. False when there is nothing to stop. */
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
