/** What is told of a stream when it is over; span, counters and log line are made from this one object. */
import type { Outcome } from '../message.ts';
import type { StreamSummary } from '../observer.ts';
import type { Fact } from './settlement.ts';
import type { Stream } from './stream.ts';

/** Outcomes that are errors; a client that leaves and a stop are not. */
const ERRORS: ReadonlySet<Outcome> = new Set(['failed', 'timed-out', 'truncated']);

export function summaryOf(stream: Stream, fact: Fact): StreamSummary {
  const { pulse, settlement } = stream;
  return {
    stream,
    outcome: fact.outcome,
    side: fact.side,
    durationMs: pulse.elapsedMs,
    timeToFirstChunkMs: pulse.timeToFirstChunkMs,
    maxChunkGapMs: pulse.maxGapMs,
    backpressureMs: pulse.backpressureMs,
    chunksAfterDisconnect: stream.chunksAfterDisconnect,
    holdMs: stream.holdMs,
    save: settlement === undefined ? undefined : (settlement.result ?? 'empty'),
    saveAttempts: settlement?.attempts ?? 0,
    errorType: errorTypeOf(stream, fact),
  };
}

/** Why the stream failed; where it did not, why its message was lost. */
function errorTypeOf({ settlement }: Stream, fact: Fact): string | undefined {
  if (ERRORS.has(fact.outcome)) return fact.errorType ?? '_OTHER';
  return settlement?.result === 'lost' ? (settlement.errorType ?? '_OTHER') : undefined;
}
