/**
 * How a stream ends other than by its handler: its client leaves, or it is halted, by a stop, a time-out or a shutdown. After a stop
 * or a time-out the handler's signal aborts and it has a grace period to end by itself; then what it writes is discarded, its message
 * is saved, and its response is closed: ended after a stop, destroyed in every other case, because a regular end would tell the
 * client that the answer is whole.
 */
import type { Side } from '../../core/message.ts';
import type { TerminalFact } from '../body/message-builder.ts';
import { EVENT_STREAM, mediaType } from '../response/is-stream.ts';
import { CLIENT_LEFT, step } from './effects.ts';
import type { Environment, Stream } from './stream.ts';

/** The client has left: by the close verdict, or because it reads nothing. */
export function clientLeft(stream: Stream): void {
  const { phase, body, finishing } = stream;
  const fixed = phase.isConcludable && stream.fixOutcome(CLIENT_LEFT);
  // All bytes of the Content-Length were written: there is nothing to finish.
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

/** Whether the handler may go on without its client. Not if it was told to stop, has failed, or writes a feed, which never ends. */
function mayGoOn(stream: Stream): boolean {
  const { phase, failure } = stream;
  const goesOn = phase.kind === 'undecided' || phase.isConcludable;
  return goesOn && failure === undefined && !isFeed(stream);
}

/**
 * An event stream that answers GET and has carried nothing of an answer: a subscription, the feed of an MCP server. It never ends, and
 * its rest is never wanted, so its handler must see that the client is gone.
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
 * Tells the handler to stop, now or as soon as the stream begins. False when there was nothing to stop. If the client has left, the
 * outcome does not change.
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
 * Waits until no stream of a closing instance is live, at most `patienceMs`; then the remaining streams, and every stream that
 * still begins, are interrupted. Resolves once the remaining streams have handed their messages over.
 */
export async function drainStreams(environment: Environment, patienceMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs);
  });
  environment.closing = true;
  const isSpent = patience.then(() => true);
  for (let spent = false; !spent && streamsOf(environment).length > 0;) {
    // Kept-alive connections may bring one more request each.
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

/** The streams whose response is not over; a stream that only waits for the result of its save need not be drained. */
function streamsOf({ live }: Environment): Stream[] {
  return [...live.values()].filter((stream) => stream.phase.isLive);
}

/** Interrupts a stream: the time for draining is over. Not an answer that has ended: it is whole, and its message is being saved. */
export function interrupt(stream: Stream): void {
  const isOpen = stream.phase.name === 'open';
  const fixed = isOpen && stream.fixOutcome({ outcome: 'interrupted', side: 'server' });
  const reason = 'the process is closing';
  step(stream, 'interrupted', { fixed, reason, departure: 'closing' });
}
