/** How a client leaves its stream, and what becomes of the stream without it. */
import type { Fact } from '../body/message-builder.ts';
import type { Stream } from './stream.ts';

const LEFT: Fact = { outcome: 'disconnected', side: 'client' };

/** A client that reads nothing is gone, as far as its answer is concerned. */
export function stalled(stream: Stream): void {
  if (stream.over) return;
  if (!stream.gone) clientLeft(stream);
  stream.hooks.close('destroy');
}

/** The client had left before the handler began its stream. */
export function beginGone(stream: Stream): void {
  stream.fix(LEFT);
  if (stream.finishing?.active === true) {
    stream.waiting = 'world';
    stream.finishing.announce();
  } else {
    stream.settle();
    stream.finish();
  }
}

/** The finishing world is over, in whichever way: what the handler wrote is the message. */
export function worldOver(stream: Stream): void {
  if (stream.waiting === 'world') stream.settle();
  else if (stream.body?.builder?.grew() === true && stream.fix(LEFT)) stream.settle();
  stream.finish();
}

/** Patience with a stream that outlives its client is over. */
export function cutFinishing(stream: Stream, why: string): void {
  stream.cutShort = true;
  stream.finishing?.leave();
  stream.stopSignal.abort(why);
  worldOver(stream);
}

/** The client has left, by the verdict on its socket or because it reads nothing. */
export function clientLeft(stream: Stream): void {
  stream.gone = true;
  stream.stopSignal.left('client');
  stream.dropHeld();
  if (stream.guarded) stream.pulse.letGo();
  // It was told to stop: its message waits for the end of its grace, not for its client.
  if (stream.waiting === 'grace') return;
  const concluded = stream.kind === 'stream' && stream.fix(LEFT);
  if (concluded) stream.environment.observer.onDisconnect(stream);
  // The client has every byte: there is nothing to finish.
  if (stream.body?.whole === true && !concluded) return stream.finish();
  // A handler that has failed will not go on.
  const goesOn = stream.cut === undefined && stream.failure === undefined;
  if (goesOn && stream.finishing?.begin() === true) {
    if (concluded) stream.waiting = 'world';
    if (!stream.endCalled) return;
    stream.finishing.end(undefined);
    return worldOver(stream);
  }
  stream.stopSignal.abort('the client left');
  if (concluded) stream.settle();
  // What the handler makes of an undecided response is still to be seen.
  if (stream.kind === 'undecided') stream.environment.live.delete(stream.id);
  else stream.finish();
}
