/** What is told of a stream when it is over; span, counters and log line are made from this one object. */
import type { Outcome } from '../../core/message.ts';
import type { StreamSummary, StreamView } from '../../core/observer.ts';
import type { Pulse } from '../body/timings.ts';
import type { Fact, Settlement } from '../body/message-builder.ts';

/** Outcomes that are errors; a client that leaves and a stop are not. */
const ERRORS: ReadonlySet<Outcome> = new Set(['failed', 'timed-out', 'truncated']);

/** What it is made from. */
export interface Ended extends StreamView {
  readonly pulse: Pulse;
  readonly chunksAfterDisconnect: number;
  readonly holdMs: number;
}

/** What became of its message, whoever saves it. */
type Saved = Pick<Settlement, 'result' | 'attempts' | 'errorType'>;

export function summaryOf(stream: Ended, fact: Fact, settlement: Saved | undefined): StreamSummary {
  const { pulse } = stream;
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
    errorType: errorTypeOf(fact, settlement),
  };
}

/** Why the stream failed; where it did not, why its message was lost. */
function errorTypeOf(fact: Fact, settlement: Saved | undefined): string | undefined {
  if (ERRORS.has(fact.outcome)) return fact.errorType ?? '_OTHER';
  return settlement?.result === 'lost' ? (settlement.errorType ?? '_OTHER') : undefined;
}
