/**
 * What a handler and its connection do: each call or event from outside becomes an event of the stream, chosen by the data that
 * comes with it. For stops, time-outs, shutdowns and clients that leave, that is in `ending.ts`.
 */
import type { ResponseHead } from '../response/is-stream.ts';
import { verdictOf } from '../client/close-verdict.ts';
import { step } from './effects.ts';
import { clientLeft, halt, interrupt, stopSweeping } from './ending.ts';
import type { Environment, Stream } from './stream.ts';

/** The response turned out to be a stream. Called before the first byte is sent, within the handler's own call. */
export function handlerBegan(stream: Stream, head: ResponseHead): void {
  step(stream, 'began', { head });
  if (stream.phase.name !== 'open') return;
  if (stream.environment.interrupting) setImmediate(() => interrupt(stream));
  const { pendingStop } = stream;
  if (pendingStop !== undefined) halt(stream, pendingStop.terminal, pendingStop.reason);
}

/** The handler called `end(chunk, encoding, callback)`; its chunk, if any, was taken before. */
export function handlerEnded(stream: Stream, callback: (() => void) | undefined): void {
  stream.endCalled = true;
  stream.timings.handlerEnded();
  const isWordless = stream.phase.name === 'grace' && !hasOwnWord(stream);
  step(stream, isWordless ? 'grace-over' : 'ended', { callback });
}

/** Whether the handler's end in its grace period may be sent: after a stop, or if it has written something since. */
function hasOwnWord({ terminal, bytes, bytesAtTerminal }: Stream): boolean {
  return terminal?.outcome === 'stopped' || bytes > bytesAtTerminal;
}

/** The handler threw, rejected or called `next(error)`. */
export function handlerFailed(stream: Stream, error: unknown): void {
  stream.environment.sawError(error, stream.exchange.res);
  step(stream, 'failed', { error, reason: 'failed' });
}

/** The handler called `res.destroy()`. False when Node must not be called, because lastchunk closes this response. */
export function handlerDestroyed(stream: Stream, error: unknown): boolean {
  const { phase } = stream;
  if (phase.isClosing) return false;
  if (phase.name === 'grace' || phase.name === 'grace-gone') {
    step(stream, 'destroyed');
    return false;
  }
  if (phase.clientGone || (error !== undefined && error !== null)) handlerFailed(stream, error);
  // Without lastchunk the held bytes would have been sent by now: the destroy waits for them in the connection's output.
  if (stream.holdsFrame || stream.phase.name !== 'open') return true;
  const terminal = { outcome: 'failed', side: 'server', errorType: '_OTHER' } as const;
  step(stream, 'destroyed', { terminal });
  return true;
}

/** The response or its socket closed: after its end, by its client, or by this process. The first call decides. */
export function connectionClosed(stream: Stream): void {
  const { phase, exchange, hold } = stream;
  // Expected: we closed it ourselves, or its client had left before.
  if (phase.name === 'closed') step(stream, 'finished');
  if (phase.clientGone || phase.isOver || phase.kind === 'other') return;
  const verdict = verdictOf(exchange, {
    ended: stream.endCalled && (!hold.active || !exchange.hasConnection),
    resetHere: stream.resetHere,
    timedOut: stream.timings.timedOut,
  });
  if (verdict.by === 'ended') step(stream, 'finished');
  else if (verdict.by === 'client') clientLeft(stream);
  else step(stream, 'cut', { terminal: verdict, reason: 'the connection was closed' });
}

/** How often the connections of live streams are checked. */
const SWEEP_MS = 5_000;

/**
 * Checks every five seconds, as long as streams are live, for connections that closed without an event: code that removes all
 * `close` listeners of a socket removes Node's own too.
 */
export function sweepConnections(environment: Environment): void {
  environment.sweepTimer ??= setInterval(() => {
    for (const stream of environment.live.values()) noticeClosed(stream);
    if (environment.live.size === 0) stopSweeping(environment);
  }, SWEEP_MS).unref();
}

/** The same check for one stream, made when its handler calls a method. */
export function noticeClosed(stream: Stream): void {
  const { socket, h2 } = stream.exchange;
  if (!(h2 ?? socket).destroyed || stream.phase.clientGone || stream.phase.isOver) return;
  if (!stream.hooks.hearsClose()) connectionClosed(stream);
}
