/**
 * Decides who ended a response, once, at the first `'close'` of the response or of its socket, because the state that
 * shows it is overwritten afterwards (a later `end()` turns `writableFinished` true on Node 20 and 22).
 *
 * Error codes and messages do not show it: Node gives the identical `ECONNRESET "aborted"` when the client leaves and
 * when the upstream closes its connection, and `req` emits it even when the app destroyed the response itself. The socket shows it:
 * at the close, a peer that left has ended its side or broken the connection; otherwise this process closed it.
 */
import type { Socket } from 'node:net';
import type { Outcome, Side } from '../../core/message.ts';
import type { Exchange } from '../response/exchange.ts';
import { errorType, sideOf, outcomeOf } from './failure.ts';

/** Who closed. `ended` means that the handler's own end was passed to the operating system. */
export type Verdict =
  | { readonly by: 'ended' }
  | { readonly by: 'client' }
  | {
      readonly by: 'server';
      readonly outcome: Outcome;
      readonly side: Side;
      readonly errorType: string | undefined;
    };

/** Facts about a close that the response and its socket do not show. */
export interface CloseHints {
  /** The handler called `end()` and nothing of it is held back, or nothing could be. */
  readonly ended: boolean;
  /** HTTP/2: this process closed the stream with an error code. */
  readonly resetHere: boolean;
  /** The socket's `'timeout'` was seen after the last write. */
  readonly timedOut: boolean;
}

/** The verdict on a response that is closing now. */
export function verdictOf(exchange: Exchange, hints: CloseHints): Verdict {
  const { res, socket, hasConnection, h2 } = exchange;
  if (h2 !== undefined) {
    if (hints.resetHere) return serverClosed(socket);
    if (h2.rstCode !== 0 || h2.aborted) return { by: 'client' };
    return hints.ended ? { by: 'ended' } : serverClosed(socket);
  }
  // First, because destroy(error) can leave its error on the socket as well.
  if (res.errored) {
    return {
      by: 'server',
      outcome: outcomeOf(res.errored),
      side: sideOf(res.errored),
      errorType: errorType(res.errored),
    };
  }
  // Without a connection, a close that neither the handler nor lastchunk made was made by the client.
  if (!hasConnection && !hints.ended)
    return socket.destroyed ? serverClosed(socket) : { by: 'client' };
  if (hints.ended && (!hasConnection || res.writableFinished)) return { by: 'ended' };
  if (socket.readableEnded || brokenByPeer(socket)) return { by: 'client' };
  if (hints.timedOut) {
    return { by: 'server', outcome: 'timed-out', side: 'server', errorType: 'timeout' };
  }
  return serverClosed(socket);
}

/** `readableEnded` false and no network error: this process closed the connection. */
function serverClosed(socket: Socket): Verdict {
  // `server` is set by net.Server on each socket it accepts; it is not in the typings.
  const { server } = socket as Socket & { server?: { listening?: boolean } };
  return server?.listening === false
    ? { by: 'server', outcome: 'interrupted', side: 'server', errorType: undefined }
    : { by: 'server', outcome: 'failed', side: 'server', errorType: '_OTHER' };
}

/**
 * A system call on the socket failed: a reset, a broken pipe, a network that went away. Not one that was cancelled: that
 * is what Node 26 leaves when this process destroys a socket with a write on its way.
 */
export function brokenByPeer(socket: Socket): boolean {
  const error: NodeJS.ErrnoException | null | undefined = socket.errored;
  return error?.syscall !== undefined && error.code !== 'ECANCELED';
}
