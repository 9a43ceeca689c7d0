/** What is told of a stream when it is over; span, counters and log line are made from this one object. */
import type { Outcome } from '../../core/message.ts';
import type { StreamSummary, StreamView } from '../../core/observer.ts';
import type { Pulse } from '../body/timings.ts';
import type { Fact, MessageBuilder } from '../body/message-builder.ts';

/** Outcomes that are errors; a client that leaves and a stop are not. */
const ERRORS: ReadonlySet<Outcome> = new Set(['failed', 'timed-out', 'truncated']);

/** What it is made from. */
export interface Ended extends StreamView {
  readonly pulse: Pulse;
  readonly chunksAfterDisconnect: number;
  readonly holdMs: number;
}

/** What became of its message, whoever saves it. */
type Saved = Pick<MessageBuilder, 'result' | 'attempts' | 'errorType'>;

export function summaryOf(stream: Ended, fact: Fact, builder: Saved | undefined): StreamSummary {
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
    save: builder === undefined ? undefined : (builder.result ?? 'empty'),
    saveAttempts: builder?.attempts ?? 0,
    errorType: errorTypeOf(fact, builder),
  };
}

/** Why the stream failed; where it did not, why its message was lost. */
function errorTypeOf(fact: Fact, builder: Saved | undefined): string | undefined {
  if (ERRORS.has(fact.outcome)) return fact.errorType ?? '_OTHER';
  return builder?.result === 'lost' ? (builder.errorType ?? '_OTHER') : undefined;
}
