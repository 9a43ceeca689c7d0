/**
 * How a stream ends other than by its handler: its client leaves, or it is ended on purpose, by a stop, a time-out, or a
 * process that goes down. On purpose means that the handler is told and has a moment to end by itself; then what it writes
 * is discarded, its message is saved, and its response is closed: ended after a stop, destroyed after everything else,
 * because a clean end would tell the client that the answer is whole.
 */
import type { Side } from '../../core/message.ts';
import type { TerminalFact } from '../body/message-builder.ts';
import { EVENT_STREAM, mediaType } from '../response/is-stream.ts';
import type { Environment, Stream } from './stream.ts';

/** How long a handler that was told to stop has to end its response by itself. */
const GRACE_MS = 1_000;

const CLIENT_LEFT: TerminalFact = { outcome: 'disconnected', side: 'client' };

/** The client has left, by the verdict on its socket or because it reads nothing. */
export function clientLeft(stream: Stream): void {
  stream.clientGone = true;
  stream.stopSignal.recordDeparture('client');
  stream.dropHeld();
  if (stream.guarded) stream.timings.emitDrain();
  // It was told to stop: its message waits for the end of its grace, not for its client.
  if (stream.phase === 'grace') return;
  const concluded = stream.kind === 'stream' && stream.fixOutcome(CLIENT_LEFT);
  if (concluded) stream.environment.observer.onDisconnect(stream);
  // The client has every byte: there is nothing to finish.
  if (stream.body?.whole === true && !concluded) return stream.markOver();
  // A handler that has failed will not go on.
  const goesOn = stream.closeMode === undefined && stream.failure === undefined && !isFeed(stream);
  if (goesOn && stream.finishing?.begin() === true) {
    if (concluded) stream.phase = 'detached';
    if (!stream.endCalled) return;
    stream.finishing.end(undefined);
    return detachedOver(stream);
  }
  stream.stopSignal.abort('the client left');
  if (concluded) stream.settle();
  // What the handler makes of an undecided response is still to be seen.
  if (stream.kind === 'undecided') stream.environment.live.delete(stream.id);
  else stream.markOver();
}

/**
 * An event stream that answers GET and has carried nothing of an answer: a subscription, the feed of an MCP server. It never ends, and
 * nobody comes back for its rest, so its handler has to hear that the client is gone.
 */
function isFeed({ method, kind, body, exchange: { res } }: Stream): boolean {
  if (method !== 'GET') return false;
  if (kind === 'stream') return body?.isFeed === true;
  return res.headersSent && mediaType(String(res.getHeader('content-type') ?? '')) === EVENT_STREAM;
}

/** A client that reads nothing is gone, as far as its answer is concerned. */
export function clientStalled(stream: Stream): void {
  if (stream.over) return;
  if (!stream.clientGone) clientLeft(stream);
  stream.hooks.closeResponse('destroy');
}

/** The client had left before the handler began its stream. */
export function beganWithoutClient(stream: Stream): void {
  stream.fixOutcome(CLIENT_LEFT);
  if (stream.finishing?.active === true) {
    stream.phase = 'detached';
    stream.finishing.announce();
  } else {
    stream.settle();
    stream.markOver();
  }
}

/** A detached stream is over, in whichever way: what the handler wrote is the message. */
export function detachedOver(stream: Stream): void {
  if (stream.phase === 'detached') stream.settle();
  else if (stream.body?.builder?.grew() === true && stream.fixOutcome(CLIENT_LEFT)) {
    stream.settle();
  }
  stream.markOver();
}

/** Patience with a stream that outlives its client is over. */
export function endDetached(stream: Stream, why: string): void {
  stream.cutShort = true;
  stream.finishing?.restore();
  stream.stopSignal.abort(why);
  detachedOver(stream);
}

/** Ends the stream on purpose. False when there was nothing to stop. */
export function stop(stream: Stream, reason: string, side: Side): boolean {
  const isHalted = halt(stream, { outcome: 'stopped', side }, reason);
  if (isHalted) stream.wasStopped = true;
  return isHalted;
}

/** No data came from the handler for too long. */
export function timeOut(stream: Stream): void {
  const terminal: TerminalFact = { outcome: 'timed-out', side: 'upstream', errorType: 'timeout' };
  halt(stream, terminal, 'no data for too long');
}

/** Tells the handler to end, or to be told so as soon as it begins. False when there was nothing to stop. */
export function halt(stream: Stream, terminal: TerminalFact, reason: string): boolean {
  if (stream.over || stream.kind === 'other' || stream.phase === 'grace') return false;
  if (stream.clientGone) return haltDetached(stream, reason);
  if (stream.kind === 'stream') {
    if (!stream.fixOutcome(terminal)) return false;
    stream.phase = 'grace';
    stream.timings.handlerEnded();
    startGrace(stream, () => graceOver(stream, 'timer'));
  } else stream.pendingStop ??= { terminal, reason };
  if (terminal.outcome === 'stopped') stream.stopSignal.recordDeparture('stopped');
  stream.stopSignal.abort(reason);
  stream.finishing?.callCloseListeners();
  return true;
}

/** The outcome stays what it was when the client left; the handler gets its grace. */
function haltDetached(stream: Stream, reason: string): boolean {
  // A second stop does not lengthen the grace of the first.
  if (stream.finishing?.active !== true || stream.cutShort) return false;
  stream.cutShort = true;
  stream.stopSignal.abort(reason);
  startGrace(stream, () => endDetached(stream, reason));
  stream.finishing.callCloseListeners();
  return true;
}

/** The handler ended, or its time is over: the message is saved, then the response is closed. */
export function graceOver(stream: Stream, how: 'ended' | 'failed' | 'closed' | 'timer'): void {
  const wroteSince = stream.bytes > stream.bytesAtTerminal;
  const stopped = stream.terminal?.outcome === 'stopped';
  const progress = stream.settle();
  if (stream.clientGone) return stream.markOver();
  // An end that the handler wrote itself is its own word to the client.
  if (how === 'ended' && (stopped || wroteSince)) {
    if (progress !== undefined) stream.holdUntil(progress);
    return;
  }
  closeAfter(stream, progress?.confirmed, stopped ? 'end' : 'destroy');
}

/** The handler answers a stop with the finish marker: a client takes that for the end, so it waits for the message. */
export function finishedInGrace(stream: Stream): void {
  const how = stream.terminal?.outcome === 'stopped' ? 'end' : 'destroy';
  const progress = stream.settle();
  if (progress !== undefined) stream.holdUntil(progress);
  startGrace(stream, () => {
    if (!stream.clientGone && !stream.endCalled) closeAfter(stream, stream.released, how);
  });
}

function startGrace(stream: Stream, onEnd: () => void): void {
  clearTimeout(stream.graceTimer);
  stream.graceTimer = setTimeout(onEnd, GRACE_MS);
}

/**
 * Waits until no stream of an instance that closes is live, at most `patienceMs`; then the rest, and every stream that
 * still begins, is interrupted. Resolves once all of them have handed their messages over.
 */
export async function drainStreams(environment: Environment, patienceMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs);
  });
  environment.closing = true;
  const isSpent = patience.then(() => true);
  for (let spent = false; !spent && streamsOf(environment).length > 0;) {
    // Connections that were kept may bring one more request each.
    const over = streamsOf(environment).map((stream) => stream.report.whenOver());
    spent = await Promise.race([Promise.all(over).then(() => false), isSpent]);
  }
  clearTimeout(timer);
  environment.interrupting = true;
  for (const stream of streamsOf(environment)) interrupt(stream);
  stopSweeping(environment);
}

/** Nothing is live any more, or nothing will be. */
export function stopSweeping(environment: Environment): void {
  clearInterval(environment.sweepTimer);
  environment.sweepTimer = undefined;
}

/** Those whose response goes on; one that only waits for the result of its save has nothing to drain. */
function streamsOf({ live }: Environment): Stream[] {
  return [...live.values()].filter((stream) => stream.kind === 'stream' && !stream.over);
}

/** The instance is closing and its patience is over. */
export function interrupt(stream: Stream): void {
  if (stream.over || stream.closeMode !== undefined || stream.kind !== 'stream') return;
  if (stream.clientGone) return endDetached(stream, 'the process is closing');
  if (stream.phase === 'grace') return graceOver(stream, 'timer');
  // A frame that is held is already saved, or being saved: that answer is whole.
  const fixed = stream.fixOutcome({ outcome: 'interrupted', side: 'server' });
  if (!fixed && stream.endCalled) return;
  stream.stopSignal.recordDeparture('closing');
  stream.stopSignal.abort('the process is closing');
  const safe = fixed ? stream.settle()?.confirmed : stream.released;
  closeAfter(stream, safe, 'destroy');
}

function closeAfter(
  stream: Stream,
  safe: Promise<unknown> | undefined,
  how: 'end' | 'destroy',
): void {
  stream.closeMode = how;
  stream.timings.emitDrain();
  const close = (): void => {
    stream.clientGone = true;
    // What is held is safe by now; only a cut leaves it out.
    if (how === 'end') stream.hold.release();
    else stream.dropHeld();
    stream.hooks.closeResponse(how);
    // What is left of the answer may still wait for a client that reads nothing.
    if (how === 'end' && stream.exchange.res.writableLength > 0) stream.timings.beginBackpressure();
  };
  if (safe === undefined) close();
  else void safe.then(close);
}
