/** Streams and reports as the parts below would tell them; each fact can be given. */
import type { SaveReport, StreamSummary, StreamView } from '../../src/core/observer.ts';

let last = 0;

/** A view whose counters can be moved. */
export function aStream(facts: Partial<StreamView> = {}): StreamView & {
  chunks: number;
  bytes: number;
} {
  last += 1;
  return {
    id: `stream-${last}`,
    route: '/chat/:id',
    method: 'POST',
    guarded: true,
    format: 'openai',
    startedAtMs: Date.now() - 1000,
    chunks: 0,
    bytes: 0,
    ...facts,
  };
}

export function anEnd(stream: StreamView, facts: Partial<StreamSummary> = {}): StreamSummary {
  return {
    stream,
    outcome: 'completed',
    side: 'server',
    durationMs: 1500,
    timeToFirstChunkMs: 20,
    maxChunkGapMs: 300,
    backpressureMs: 0,
    chunksAfterDisconnect: 0,
    holdMs: 4,
    save: 'saved',
    saveAttempts: 1,
    errorType: undefined,
    ...facts,
  };
}

export function aSave(stream: StreamView, facts: Partial<SaveReport> = {}): SaveReport {
  return {
    stream,
    messageId: `message-of-${stream.id}`,
    route: stream.route,
    result: 'saved',
    kind: 'first',
    durationMs: 30,
    attempts: 1,
    errorType: undefined,
    ...facts,
  };
}
