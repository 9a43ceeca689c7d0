/**
 * What a handler and its connection do: each call or event from outside is made the event of the stream that it is, by the
 * data that comes with it. Where that means an end on purpose, or a client that leaves, the same is in `ending.ts`.
 */
import type { ResponseHead } from '../response/is-stream.ts';
import { verdictOf } from '../client/close-verdict.ts';
import { step } from './effects.ts';
import { clientLeft, halt, interrupt, stopSweeping } from './ending.ts';
import type { Environment, Stream } from './stream.ts';

/** Its response turns out to be a stream. Called before the first byte, in the handler's own call. */
export function handlerBegan(stream: Stream, head: ResponseHead): void {
  step(stream, 'began', { head });
  if (stream.phase.name !== 'open') return;
  if (stream.environment.interrupting) setImmediate(() => interrupt(stream));
  const { pendingStop } = stream;
  if (pendingStop !== undefined) halt(stream, pendingStop.terminal, pendingStop.reason);
}

/** It called `end()`; its chunk, if any, was taken. `callback` is the one it gave. */
export function handlerEnded(stream: Stream, callback: (() => void) | undefined): void {
  stream.endCalled = true;
  stream.timings.handlerEnded();
  const isWordless = stream.phase.name === 'grace' && !hasOwnWord(stream);
  step(stream, isWordless ? 'grace-over' : 'ended', { callback });
}

/** After a stop, or with something written since, the end is the handler's own word to the client. */
function hasOwnWord({ terminal, bytes, bytesAtTerminal }: Stream): boolean {
  return terminal?.outcome === 'stopped' || bytes > bytesAtTerminal;
}

/** It threw, rejected or called `next(error)`. */
export function handlerFailed(stream: Stream, error: unknown): void {
  stream.environment.sawError(error, stream.exchange.res);
  step(stream, 'failed', { error, reason: 'failed' });
}

/** It called `res.destroy()`. False when that is not to be done, because we end this response. */
export function handlerDestroyed(stream: Stream, error: unknown): boolean {
  const { phase } = stream;
  if (phase.isClosing) return false;
  if (phase.name === 'grace' || phase.name === 'grace-gone') {
    step(stream, 'destroyed');
    return false;
  }
  if (phase.clientGone || (error !== undefined && error !== null)) handlerFailed(stream, error);
  // What is held would have been sent by now without us; below Node's response, it is waited for.
  if (stream.holdsFrame || stream.phase.name !== 'open') return true;
  const terminal = { outcome: 'failed', side: 'server', errorType: '_OTHER' } as const;
  step(stream, 'destroyed', { terminal });
  return true;
}

/** The response or its socket closed: by its end, by its client, or by this process. The first call decides. */
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

/** How often the connections of live streams are looked at. */
const SWEEP_MS = 5_000;

/**
 * Looks from time to time, as long as streams are live, for connections that have gone without a word: whoever takes all
 * listeners of `close` off a socket takes Node's own off too.
 */
export function sweepConnections(environment: Environment): void {
  environment.sweepTimer ??= setInterval(() => {
    for (const stream of environment.live.values()) noticeClosed(stream);
    if (environment.live.size === 0) stopSweeping(environment);
  }, SWEEP_MS).unref();
}

/** The same for one stream, asked before a call of its handler. */
export function noticeClosed(stream: Stream): void {
  const { socket, h2 } = stream.exchange;
  if (!(h2 ?? socket).destroyed || stream.phase.clientGone || stream.phase.isOver) return;
  if (!stream.hooks.hearsClose()) connectionClosed(stream);
}
