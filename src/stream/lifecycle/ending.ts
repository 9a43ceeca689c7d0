/**
 * How a stream ends other than by its handler: its client leaves, or it is ended on purpose, by a stop, a time-out, or a
 * process that goes down. On purpose means that the handler is told and has a moment to end by itself; then what it writes
 * is discarded, its message is saved, and its response is closed: ended after a stop, destroyed after everything else,
 * because a clean end would tell the client that the answer is whole.
 */
import type { Side } from '../../core/message.ts';
import type { TerminalFact } from '../body/message-builder.ts';
import { EVENT_STREAM, mediaType } from '../response/is-stream.ts';
import { CLIENT_LEFT, step } from './effects.ts';
import type { Environment, Stream } from './stream.ts';

/** The client has left, by the verdict on its socket or because it reads nothing. */
export function clientLeft(stream: Stream): void {
  const { phase, body, finishing } = stream;
  const fixed = phase.isConcludable && stream.fixOutcome(CLIENT_LEFT);
  // The client has every byte: there is nothing to finish.
  const hasAll = body?.whole === true && !fixed;
  const departure = 'client';
  const claim = !hasAll && mayGoOn(stream) && finishing?.claim();
  if (claim === true) {
    const isDue = fixed || phase.kind === 'undecided';
    step(stream, isDue ? 'client-left-detached' : 'client-left-settled', { departure, fixed });
    return;
  }
  const reason = hasAll ? undefined : 'the client left';
  const refusal = claim === false ? undefined : claim;
  step(stream, 'client-left', { departure, fixed, reason, refusal });
}

/** Not a handler that was told to stop, one that has failed and will not go on, or a feed, whose end nobody waits for. */
function mayGoOn(stream: Stream): boolean {
  const { phase, failure } = stream;
  const goesOn = phase.kind === 'undecided' || phase.isConcludable;
  return goesOn && failure === undefined && !isFeed(stream);
}

/**
 * An event stream that answers GET and has carried nothing of an answer: a subscription, the feed of an MCP server. It never ends, and
 * nobody comes back for its rest, so its handler has to hear that the client is gone.
 */
function isFeed({ method, phase, body, exchange: { res } }: Stream): boolean {
  if (method !== 'GET') return false;
  if (phase.kind === 'stream') return body?.isFeed === true;
  return res.headersSent && mediaType(String(res.getHeader('content-type') ?? '')) === EVENT_STREAM;
}

/** A client that reads nothing is treated as one that disconnected. */
export function clientStalled(stream: Stream): void {
  if (stream.phase.isOver) return;
  if (!stream.phase.clientGone) clientLeft(stream);
  stream.hooks.closeResponse('destroy');
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

/**
 * Tells the handler to end, or to be told so as soon as it begins. False when there was nothing to stop. Without its client
 * the outcome stays what it was when that left.
 */
export function halt(stream: Stream, terminal: TerminalFact, reason: string): boolean {
  const { phase } = stream;
  // A second stop does not lengthen the grace of the first.
  if (phase.isDetached && stream.cutShort) return false;
  if (phase.name === 'open' && !stream.fixOutcome(terminal)) return false;
  const departure = terminal.outcome === 'stopped' && !phase.clientGone ? 'stopped' : undefined;
  return step(stream, 'stopped', { terminal, reason, departure });
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

/** Stops the timer that checks for dead connections: no stream is live, or none will be. */
export function stopSweeping(environment: Environment): void {
  clearInterval(environment.sweepTimer);
  environment.sweepTimer = undefined;
}

/** Those whose response goes on; one that only waits for the result of its save has nothing to drain. */
function streamsOf({ live }: Environment): Stream[] {
  return [...live.values()].filter((stream) => stream.phase.isLive);
}

/** The instance is closing and its patience is over. An answer that has ended is whole: what is held of it is being saved. */
export function interrupt(stream: Stream): void {
  const isOpen = stream.phase.name === 'open';
  const fixed = isOpen && stream.fixOutcome({ outcome: 'interrupted', side: 'server' });
  const reason = 'the process is closing';
  step(stream, 'interrupted', { fixed, reason, departure: 'closing' });
}
