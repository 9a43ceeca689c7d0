/** Live streams as rows of the status: route, phase and progress of each, without its text. */
import type { RelayInstance } from '../relay/instance.ts';
import type { Stream } from '../stream/lifecycle/stream.ts';

/** The most rows; the total number is shown beside them. */
const ROWS_AT_MOST = 50;

/** What a stream is doing. */
export type StreamPhase =
  /** Its handler has answered nothing yet. */
  | 'waiting'
  | 'streaming'
  /** The last frame waits for the save. */
  | 'holding'
  /** The client has left, and the handler goes on for the message. */
  | 'finishing'
  /** It was told to stop. */
  | 'stopping'
  /** The response is over, the message has no result yet. */
  | 'saving';

/** One stream that is on its way. */
export interface LiveStream {
  readonly id: string;
  /** As in the metrics: the pattern, never a URL. */
  readonly route: string;
  /** True under `guard()`, false under `observe()` alone. */
  readonly guarded: boolean;
  readonly phase: StreamPhase;
  /** Since the start of the request. */
  readonly ageSeconds: number;
  /** Body writes so far. */
  readonly chunks: number;
  /** Bytes of all body writes so far. */
  readonly bytes: number;
  /** Only with the option `conversations`; `null` where the app named none. */
  readonly conversationId?: string | null;
  /** With a relay: readers that resumed it in this process, and whether other instances have some. */
  readonly readers?: { readonly here: number; readonly elsewhere: boolean };
}

/** The streams of an instance, the oldest first. */
export interface LiveStreams {
  /** Of all, also where not all are listed. */
  readonly total: number;
  /** At most 50. */
  readonly oldest: readonly LiveStream[];
}

/** Reads what is live now; `conversations`: with the conversation of each. */
export function liveStreamsOf(
  live: ReadonlyMap<string, Stream>,
  relay: RelayInstance | undefined,
  conversations: boolean,
): LiveStreams {
  const now = Date.now();
  const oldest: LiveStream[] = [];
  // A map keeps the order in which requests came.
  for (const stream of live.values()) {
    if (oldest.length === ROWS_AT_MOST) break;
    oldest.push(rowOf(stream, now, relay, conversations));
  }
  return { total: live.size, oldest };
}

function rowOf(
  stream: Stream,
  now: number,
  relay: RelayInstance | undefined,
  conversations: boolean,
): LiveStream {
  const { id, route, guarded, startedAtMs, chunks, bytes } = stream;
  return {
    id,
    route: route === '' ? 'unmatched' : route,
    guarded,
    phase: phaseOf(stream),
    ageSeconds: Math.max(0, now - startedAtMs) / 1000,
    chunks,
    bytes,
    // Asking for it asks the app; before the response has begun, the app may not be able to say.
    ...(conversations && {
      conversationId: stream.phase.kind === 'stream' ? stream.conversationId : null,
    }),
    ...(relay && { readers: { here: relay.readers(id), elsewhere: relay.isReadElsewhere(id) } }),
  };
}

function phaseOf({ phase, holdsFrame }: Stream): StreamPhase {
  if (phase.isOver) return 'saving';
  if (phase.isClosing || (phase.isUnsettled && !phase.isDetached)) return 'stopping';
  if (phase.clientGone) return 'finishing';
  if (phase.kind === 'undecided') return 'waiting';
  return holdsFrame ? 'holding' : 'streaming';
}
