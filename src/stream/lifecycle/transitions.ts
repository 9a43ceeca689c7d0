/**
 * What a handler and its connection do, and what that says about their stream: each call or event from outside that may
 * move a stream into another phase has its function here, or, where it means the end, in `ending.ts`.
 */
import type { ResponseHead } from '../response/is-stream.ts';
import { verdictOf } from '../client/close-verdict.ts';
import { errorType, outcomeOf, sideOf } from '../client/failure.ts';
import {
  beganWithoutClient,
  clientLeft,
  detachedOver,
  endDetached,
  graceOver,
  halt,
  interrupt,
  stopSweeping,
} from './ending.ts';
import type { Environment, Stream } from './stream.ts';

/** Its response turns out to be a stream. Called before the first byte, in the handler's own call. */
export function handlerBegan(stream: Stream, head: ResponseHead): void {
  stream.begin(head);
  if (stream.clientGone) beganWithoutClient(stream);
  else if (stream.environment.interrupting) setImmediate(() => interrupt(stream));
  const { pendingStop } = stream;
  if (pendingStop !== undefined) halt(stream, pendingStop.terminal, pendingStop.reason);
}

/** It called `end()`; its chunk, if any, was taken. `callback` is the one it gave. */
export function handlerEnded(stream: Stream, callback: (() => void) | undefined): void {
  const { body, finishing } = stream;
  stream.endCalled = true;
  stream.timings.handlerEnded();
  if (stream.clientGone) finishing?.end(callback);
  if (stream.phase === 'grace') graceOver(stream, 'ended');
  else if (stream.clientGone) detachedOver(stream);
  else if (body !== undefined) stream.conclude(body.endFact());
}

/** It threw, rejected or called `next(error)`. */
export function handlerFailed(stream: Stream, error: unknown): void {
  stream.environment.sawError(error, stream.exchange.res);
  // Once it is being closed, what its handler makes of that is no news.
  if (stream.over || stream.closeMode !== undefined) return;
  if (stream.phase === 'grace') return graceOver(stream, 'failed');
  if (wasToldToEnd(stream)) return;
  // An end that is held is still to come, and the message can still say how it came about.
  if (stream.endCalled && !stream.hold.active) return;
  if (stream.clientGone) {
    if (stream.finishing?.active === true) endDetached(stream, 'failed');
    return;
  }
  if (stream.kind !== 'stream') return;
  stream.failure = { outcome: outcomeOf(error), side: sideOf(error), errorType: errorType(error) };
  stream.conclude(stream.failure, true);
}

/** It called `res.destroy()`. False when that is not to be done, because we end this response. */
export function handlerDestroyed(stream: Stream, error: unknown): boolean {
  if (stream.closeMode !== undefined) return false;
  if (stream.phase === 'grace') {
    graceOver(stream, 'failed');
    return false;
  }
  if (stream.clientGone || (error !== undefined && error !== null)) handlerFailed(stream, error);
  // What is held would have been sent by now without us; below Node's response, it is waited for.
  if (stream.holdsFrame) return true;
  if (stream.clientGone || stream.kind !== 'stream' || stream.endCalled) return true;
  stream.dropHeld();
  // What it wrote in an earlier tick of this turn would have left by now.
  stream.body?.sendTurn();
  const failed = { outcome: 'failed', side: 'server', errorType: '_OTHER' } as const;
  if (stream.fixOutcome(failed)) stream.settle();
  stream.markOver();
  return true;
}

/** It was stopped, or its time was over, and it has answered that: what it throws now is a consequence. */
function wasToldToEnd({ terminal, clientGone }: Stream): boolean {
  return !clientGone && (terminal?.outcome === 'stopped' || terminal?.outcome === 'timed-out');
}

/** The response or its socket closed: by its end, by its client, or by this process. The first call decides. */
export function connectionClosed(stream: Stream): void {
  if (stream.clientGone || stream.over) {
    // Expected: we closed it ourselves, or its client had left before.
    if (stream.closeMode !== undefined) stream.markOver();
    return;
  }
  if (stream.kind === 'other') return;
  const verdict = verdictOf(stream.exchange, {
    ended: stream.endCalled && (!stream.hold.active || !stream.exchange.hasConnection),
    resetHere: stream.resetHere,
    timedOut: stream.timings.timedOut,
  });
  if (verdict.by === 'ended') return stream.markOver();
  if (verdict.by === 'client') return clientLeft(stream);
  stream.dropHeld();
  stream.stopSignal.abort('the connection was closed');
  if (stream.phase === 'grace') {
    stream.clientGone = true;
    return graceOver(stream, 'closed');
  }
  if (stream.kind === 'stream' && stream.fixOutcome(verdict)) stream.settle();
  stream.markOver();
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
  if (!(h2 ?? socket).destroyed || stream.clientGone || stream.over) return;
  if (!stream.hooks.hearsClose()) connectionClosed(stream);
}
