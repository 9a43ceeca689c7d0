/**
 * Publishes every event for debugging: as a message on a channel of `node:diagnostics_channel`, and as a line on stderr when
 * `NODE_DEBUG` names `lastchunk`. Without a subscriber and without `NODE_DEBUG` an event costs two comparisons.
 */
import { channel } from 'node:diagnostics_channel';
import { debuglog } from 'node:util';
import { errorTypeOf } from '../core/errors.ts';
import type { FullObserver, Observer, StreamView } from '../core/observer.ts';
import { isObject } from '../core/values.ts';

/** The published message of one event: its facts by name. Subscribers must not change or keep them. */
export type DiagnosticMessage = Readonly<Record<string, unknown>>;

type Events = {
  readonly [Name in keyof FullObserver]: {
    readonly channel: `lastchunk:${string}`;
    readonly message: (...facts: Parameters<FullObserver[Name]>) => DiagnosticMessage;
  };
};

/** The channel of each event, and its message. The names are public, as the observer's are. */
export const DIAGNOSTIC_EVENTS: Events = {
  onRoute: { channel: 'lastchunk:route', message: (route) => ({ route }) },
  onStart: { channel: 'lastchunk:stream:start', message: (stream) => ({ stream }) },
  onFirstChunk: {
    channel: 'lastchunk:stream:first-chunk',
    message: (stream, timeToFirstChunkMs) => ({ stream, timeToFirstChunkMs }),
  },
  onPhase: {
    channel: 'lastchunk:stream:phase',
    message: (stream, transition) => ({ stream, ...transition }),
  },
  onDisconnect: { channel: 'lastchunk:stream:disconnect', message: (stream) => ({ stream }) },
  onFinishing: {
    channel: 'lastchunk:stream:finishing',
    message: (stream, begins) => ({ stream, begins }),
  },
  onFinishRefused: {
    channel: 'lastchunk:stream:finish-refused',
    message: (stream, reason) => ({ stream, reason }),
  },
  onHold: {
    channel: 'lastchunk:stream:hold',
    message: (stream, released, durationMs) => ({ stream, released, durationMs }),
  },
  onUnrecognised: {
    channel: 'lastchunk:stream:unrecognised',
    message: (stream, mediaType) => ({ stream, mediaType }),
  },
  onEnd: { channel: 'lastchunk:stream:end', message: (summary) => ({ ...summary }) },
  onDue: { channel: 'lastchunk:message:due', message: (stream) => ({ stream }) },
  onSkip: { channel: 'lastchunk:message:skip', message: (stream, reason) => ({ stream, reason }) },
  onMessage: {
    channel: 'lastchunk:message:read',
    message: (stream, facts) => ({ stream, ...facts }),
  },
  onSave: { channel: 'lastchunk:message:save', message: (report) => ({ ...report }) },
  onAttempt: { channel: 'lastchunk:store:attempt', message: (errorType) => ({ errorType }) },
  onIdConflict: {
    channel: 'lastchunk:message:id-conflict',
    message: (requestedId, messageId) => ({ requestedId, messageId }),
  },
  onUnnamed: {
    channel: 'lastchunk:message:unnamed',
    message: (stream, error) => ({ stream, error }),
  },
  onReplayed: {
    channel: 'lastchunk:journal:replayed',
    message: (result, message) => ({ result, ...message }),
  },
  onRecovered: {
    channel: 'lastchunk:journal:recovered',
    message: (result, message) => ({ result, ...message }),
  },
  onRelayFlush: {
    channel: 'lastchunk:relay:flush',
    message: (seconds, bytes) => ({ seconds, bytes }),
  },
  onTakeover: { channel: 'lastchunk:relay:takeover', message: (result) => ({ result }) },
  onResume: {
    channel: 'lastchunk:relay:resume',
    message: (route, source, result) => ({ route, source, result }),
  },
  onRemoteStop: { channel: 'lastchunk:relay:stop', message: (result) => ({ result }) },
  onJournalWrite: { channel: 'lastchunk:journal:write', message: (seconds) => ({ seconds }) },
  onNoise: { channel: 'lastchunk:noise', message: (stream, noise) => ({ stream, ...noise }) },
  onPoolWatched: { channel: 'lastchunk:pool:watched', message: (pool) => ({ pool }) },
  onPoolFinding: { channel: 'lastchunk:pool:finding', message: (finding) => ({ ...finding }) },
  onInternalError: {
    channel: 'lastchunk:internal-error',
    message: (where, error) => ({ where, error }),
  },
};

/** Publishes each event to its channel, and prints it for `NODE_DEBUG=lastchunk`. */
export function createDiagnostics(): Observer {
  const debug = debuglog('lastchunk');
  const publishers = Object.entries(DIAGNOSTIC_EVENTS).map(([callback, event]) => {
    const events = channel(event.channel);
    // No event has more than three facts. A rest parameter would allocate an array for every event, even without a subscriber.
    const publish = (first?: unknown, second?: unknown, third?: unknown): void => {
      if (!events.hasSubscribers && !debug.enabled) return;
      const facts = [first, second, third];
      // The entry's own callback, called with the facts of its own event.
      const message = Reflect.apply(event.message, undefined, facts) as DiagnosticMessage;
      if (debug.enabled) debug('%s %s', event.channel, wordsOf(message));
      events.publish(message);
    };
    return [callback, publish] as const;
  });
  return Object.fromEntries(publishers);
}

/** Formats facts as one line: ids, codes and numbers; no error message, no conversation id and no text of a body. */
function wordsOf(message: DiagnosticMessage): string {
  const words = Object.entries(message).flatMap(([key, value]) => {
    // The finish reason is text of the body.
    if (value === undefined || key === 'finishReason') return [];
    if (key === 'error') return [`error=${errorTypeOf(value)}`];
    if (key === 'stream')
      return isStream(value) ? [`stream=${value.id}`, `route=${value.route}`] : [];
    // A client may choose an id: control characters in it could break the line or control a terminal.
    return isPlain(value) ? [`${key}=${String(value).replaceAll(CONTROLS, '?')}`] : [];
  });
  return words.join(' ');
}

/** Control characters, and the separators that some readers of logs take for the end of a line. */
const CONTROLS = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

function isPlain(value: unknown): value is string | number | boolean | null {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

function isStream(value: unknown): value is StreamView {
  return isObject(value) && 'route' in value && 'chunks' in value;
}
