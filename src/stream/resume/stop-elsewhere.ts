/** Stops a stream that is live on another instance, and answers as if it were one of this process. */
import { errorTypeOf } from '../../core/errors.ts';
import { OUTCOMES } from '../../core/message.ts';
import type { RelayInstance } from '../../relay/instance.ts';
import type { RelayRecord } from '../../relay/port.ts';
import type { Environment } from '../lifecycle/stream.ts';
import type { StreamHandle } from '../lifecycle/stream-handle.ts';
import type { Response, RoutedRequest } from '../response/exchange.ts';
import { type FoundStream, ofRecord } from './find-stream.ts';
import { answerAway, answerJson, idIn } from './route-words.ts';

/** How long to wait for the owner: its handler has one second to end by itself, and its message is saved after that. */
const PATIENCE_MS = 15_000;

/** Whether this request may stop that stream; false where `authorize` of the app threw. */
export type Allows = (req: RoutedRequest, stream: StreamHandle) => Promise<boolean>;

/**
 * Answers 404 for a stream that is unknown, denied or over, 200 or 503 as its owner would, and 503 where no result comes in time or
 * the engine is unavailable.
 */
export async function answerStopElsewhere(
  { relay, environment }: { readonly relay: RelayInstance; readonly environment: Environment },
  req: RoutedRequest,
  res: Response,
  allows: Allows,
): Promise<void> {
  const streamId = idIn(req);
  /** `away` where the engine does not answer. */
  const ask = async (
    question: Promise<RelayRecord | undefined>,
  ): Promise<RelayRecord | undefined | 'away'> => {
    try {
      return await question;
    } catch (error) {
      const what = `a stream could not be stopped: the relay is away (${errorTypeOf(error)})`;
      environment.warnOnce('stop elsewhere', what);
      return 'away';
    }
  };
  const { observer } = environment;
  const tellAway = (): void => {
    observer.onRemoteStop('away');
    answerAway(res);
  };
  const tellNobody = (): void => {
    observer.onRemoteStop('not-found');
    answerJson(res, 404, { error: 'not found' });
  };
  const known = await ask(relay.find({ streamId }));
  if (known === 'away') return tellAway();
  const found = ofRecord(known);
  const isLive = found !== undefined && found.end === null;
  if (!isLive || !(await allows(req, handleOfFound(found, relay)))) return tellNobody();
  const record = await ask(relay.stopElsewhere(streamId, PATIENCE_MS));
  if (record === 'away') return tellAway();
  if (record === undefined) return tellNobody();
  const { messageId } = found.stream;
  const { outcome, save } = record.end ?? {};
  observer.onRemoteStop(record.end === null ? 'late' : 'stopped');
  const isSafe = typeof save === 'string' && save !== 'lost' && save !== 'missing';
  answerJson(res, isSafe ? 200 : 503, { streamId, messageId, outcome, save });
}

/** The handle of a stream of another process: it can be stopped, but its signal never aborts and it cannot be named here. */
function handleOfFound({ stream, end }: FoundStream, relay: RelayInstance): StreamHandle {
  return {
    id: stream.id,
    messageId: stream.messageId,
    conversationId: stream.conversationId,
    signal: new AbortController().signal,
    outcome: OUTCOMES.find((outcome) => outcome === end?.outcome),
    side: undefined,
    identify: () => false,
    stop: () => {
      // The end of the stream shows whether it was stopped.
      relay.stopElsewhere(stream.id, 0).catch(() => undefined);
      return end === null;
    },
  };
}
