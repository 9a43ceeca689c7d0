/** A response closes under its stream: by its end, by its client, or by this process. */
import { graceOver } from './halting.ts';
import { clientLeft } from './leaving.ts';
import type { Stream } from './stream.ts';
import { verdictOf } from '../client/close-verdict.ts';

/** The response or its socket closed. The first call decides. */
export function closed(stream: Stream): void {
  if (stream.gone || stream.over) {
    // Expected: we cut it ourselves, or its client had left before.
    if (stream.cut !== undefined) stream.finish();
    return;
  }
  if (stream.kind === 'other') return;
  const verdict = verdictOf(stream.exchange, {
    ended: stream.endCalled && !stream.hold.active,
    resetHere: stream.resetHere,
    timedOut: stream.pulse.timedOut,
  });
  if (verdict.by === 'ended') return stream.finish();
  if (verdict.by === 'client') return clientLeft(stream);
  stream.dropHeld();
  stream.stopSignal.abort('the connection was closed');
  if (stream.waiting === 'grace') {
    stream.gone = true;
    return graceOver(stream, 'closed');
  }
  if (stream.kind === 'stream' && stream.fix(verdict)) stream.settle();
  stream.finish();
}
