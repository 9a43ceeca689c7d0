/**
 * How a stream is ended on purpose: by a stop, a time-out, or a process that goes down. The handler is told and has a
 * moment to end by itself; then nobody listens to it any more, its message is saved, and its response is closed: ended
 * after a stop, cut after everything else, because a clean end would tell the client that the answer is whole.
 */
import type { Side } from '../../core/message.ts';
import { cutFinishing } from './leaving.ts';
import type { Fact } from '../body/message-builder.ts';
import type { Stream } from './stream.ts';

/** How long a handler that was told to stop has to end its response by itself. */
const GRACE_MS = 1_000;

/** Ends the stream on purpose. False when there was nothing to stop. */
export function stop(stream: Stream, reason: string, side: Side): boolean {
  return halt(stream, { outcome: 'stopped', side }, reason);
}

/** No data came from the handler for too long. */
export function timeOut(stream: Stream): void {
  const fact: Fact = { outcome: 'timed-out', side: 'upstream', errorType: 'timeout' };
  halt(stream, fact, 'no data for too long');
}

/** The instance is closing and its patience is over. */
export function interrupt(stream: Stream): void {
  if (stream.over || stream.cut !== undefined || stream.kind !== 'stream') return;
  if (stream.gone) return cutFinishing(stream, 'the process is closing');
  if (stream.waiting === 'grace') return graceOver(stream, 'timer');
  // A frame that is held is already saved, or being saved: that answer is whole.
  const fixed = stream.fix({ outcome: 'interrupted', side: 'server' });
  if (!fixed && stream.endCalled) return;
  stream.stopSignal.left('closing');
  stream.stopSignal.abort('the process is closing');
  const safe = fixed ? stream.settle()?.confirmed : stream.released;
  closeAfter(stream, safe, 'destroy');
}

/** The handler ended, or its time is over: the message is saved, then the response is closed. */
export function graceOver(stream: Stream, how: 'ended' | 'failed' | 'closed' | 'timer'): void {
  const wroteSince = stream.bytes > stream.bytesAtFact;
  const stopped = stream.fact?.outcome === 'stopped';
  const progress = stream.settle();
  if (stream.gone) return stream.finish();
  // An end that the handler wrote itself is its own word to the client.
  if (how === 'ended' && (stopped || wroteSince)) {
    if (progress !== undefined) stream.holdUntil(progress);
    return;
  }
  closeAfter(stream, progress?.confirmed, stopped ? 'end' : 'destroy');
}

/** The handler answers a stop with the finish marker: a client takes that for the end, so it waits for the message. */
export function finishedInGrace(stream: Stream): void {
  const how = stream.fact?.outcome === 'stopped' ? 'end' : 'destroy';
  const progress = stream.settle();
  if (progress !== undefined) stream.holdUntil(progress);
  startGrace(stream, () => {
    if (!stream.gone && !stream.endCalled) closeAfter(stream, stream.released, how);
  });
}

/** Tells the handler to end, or to be told so as soon as it begins. False when there was nothing to stop. */
export function halt(stream: Stream, fact: Fact, reason: string): boolean {
  if (stream.over || stream.kind === 'other' || stream.waiting === 'grace') return false;
  if (stream.gone) return haltFinishing(stream, reason);
  if (stream.kind === 'stream') {
    if (!stream.fix(fact)) return false;
    stream.waiting = 'grace';
    stream.pulse.ended();
    startGrace(stream, () => graceOver(stream, 'timer'));
  } else stream.stopFirst ??= { fact, reason };
  if (fact.outcome === 'stopped') stream.stopSignal.left('stopped');
  stream.stopSignal.abort(reason);
  stream.finishing?.fireClose();
  return true;
}

/** The outcome stays what it was when the client left; the handler gets its grace. */
function haltFinishing(stream: Stream, reason: string): boolean {
  if (stream.finishing?.active !== true) return false;
  stream.cutShort = true;
  stream.stopSignal.abort(reason);
  startGrace(stream, () => cutFinishing(stream, reason));
  stream.finishing.fireClose();
  return true;
}

function startGrace(stream: Stream, onEnd: () => void): void {
  clearTimeout(stream.graceTimer);
  stream.graceTimer = setTimeout(onEnd, GRACE_MS);
}

function closeAfter(
  stream: Stream,
  safe: Promise<unknown> | undefined,
  how: 'end' | 'destroy',
): void {
  stream.cut = how;
  stream.pulse.letGo();
  const close = (): void => {
    stream.gone = true;
    stream.dropHeld();
    stream.hooks.close(how);
    // What is left of the answer may still wait for a client that reads nothing.
    if (how === 'end' && stream.exchange.res.writableLength > 0) stream.pulse.full();
  };
  if (safe === undefined) close();
  else void safe.then(close);
}
