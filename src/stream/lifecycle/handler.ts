/** What a handler does to its response, and what that says about its stream. */
import type { Opening } from '../body/body.ts';
import { errorType, outcomeOf, sideOf } from '../client/failure.ts';
import { graceOver, halt, interrupt } from './halting.ts';
import { beginGone, cutFinishing, worldOver } from './leaving.ts';
import type { Stream } from './stream.ts';

/** Its response turns out to be a stream. Called before the first byte, in the handler's own call. */
export function handlerBegan(stream: Stream, opening: Opening): void {
  stream.begin(opening);
  if (stream.gone) beginGone(stream);
  else if (stream.environment.interrupting) setImmediate(() => interrupt(stream));
  if (stream.stopFirst !== undefined) halt(stream, stream.stopFirst.fact, stream.stopFirst.reason);
}

/** It called `end()`; its chunk, if any, was taken. `callback` is the one it gave. */
export function handlerEnded(stream: Stream, callback: (() => void) | undefined): void {
  const { body, finishing } = stream;
  stream.endCalled = true;
  stream.pulse.ended();
  body?.flushLog();
  if (stream.gone) finishing?.end(callback);
  if (stream.waiting === 'grace') graceOver(stream, 'ended');
  else if (stream.gone) worldOver(stream);
  else if (body !== undefined) stream.conclude(body.endFact());
}

/** It threw, rejected or called `next(error)`. */
export function handlerFailed(stream: Stream, error: unknown): void {
  stream.environment.sawError(error, stream.exchange.res);
  // Once it is being closed, what its handler makes of that is no news.
  if (stream.over || stream.cut !== undefined) return;
  if (stream.waiting === 'grace') return graceOver(stream, 'failed');
  if (toldToEnd(stream)) return;
  // An end that is held is still to come, and the message can still say how it came about.
  if (stream.endCalled && !stream.hold.active) return;
  if (stream.gone) {
    if (stream.finishing?.active === true) cutFinishing(stream, 'failed');
    return;
  }
  if (stream.kind !== 'stream') return;
  stream.failure = { outcome: outcomeOf(error), side: sideOf(error), errorType: errorType(error) };
  stream.conclude(stream.failure, true);
}

/**
 * It called `res.destroy()`. That is done now; or it waits behind what is held, which without us would have been sent by
 * now; or never, because we end this response.
 */
export function handlerDestroyed(stream: Stream, error: unknown): 'now' | 'held' | 'never' {
  if (stream.cut !== undefined) return 'never';
  if (stream.waiting === 'grace') {
    graceOver(stream, 'failed');
    return 'never';
  }
  if (stream.gone || (error !== undefined && error !== null)) handlerFailed(stream, error);
  if (stream.holdsFrame) return 'held';
  if (stream.gone || stream.kind !== 'stream' || stream.endCalled) return 'now';
  stream.dropHeld();
  // What it wrote in an earlier tick of this turn would have left by now.
  stream.body?.flushLog();
  if (stream.fix({ outcome: 'failed', side: 'server', errorType: '_OTHER' })) stream.settle();
  stream.finish();
  return 'now';
}

/** It was stopped, or its time was over, and it has answered that: what it throws now is a consequence. */
function toldToEnd({ fact, gone }: Stream): boolean {
  return !gone && (fact?.outcome === 'stopped' || fact?.outcome === 'timed-out');
}
