/** Live streams as rows of the status: route, phase and progress of each, without its text. */
import type { RelayInstance } from '../relay/instance.ts';
import type { Stream } from '../stream/lifecycle/stream.ts';

/** Maximum number of rows; the total is shown too. */
const ROWS_AT_MOST = 50;

/** The phase of a stream, as the status shows it. */
export type StreamPhase =
  /** Its handler has not begun to answer. */
  | 'waiting'
  | 'streaming'
  /** The terminal frame waits for the save. */
  | 'holding'
  /** The client has left, and the handler continues so that the message is complete. */
  | 'finishing'
  /** It was asked to stop. */
  | 'stopping'
  /** The response has ended, the message has no result yet. */
  | 'saving';

/** One live stream. */
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
  /** With a relay: the number of readers that resumed it in this process, and whether it has readers at other instances. */
  readonly readers?: { readonly here: number; readonly elsewhere: boolean };
}

/** The streams of an instance, the oldest first. */
export interface LiveStreams {
  /** The number of all live streams, listed or not. */
  readonly total: number;
  /** At most 50. */
  readonly oldest: readonly LiveStream[];
}

/** Lists the live streams; `conversations`: with the conversation of each. */
export function liveStreamsOf(
  live: ReadonlyMap<string, Stream>,
  relay: RelayInstance | undefined,
  conversations: boolean,
): LiveStreams {
  const now = Date.now();
  const oldest: LiveStream[] = [];
  // The map is in the order in which the requests arrived.
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
    // The getter calls the app's option `message`, which may have no conversation before the response has begun.
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
