/**
 * Writes one log line per stream, and one for each save that did not reach the store. Fields are ids, codes and numbers; none
 * contains text of a user or a model. The saver logs refusals, because it knows the reason. A connection that the app does not
 * release is logged with the line of code that acquired it.
 */
import { errorTypeOf } from '../core/errors.ts';
import { describeError } from '../core/error-words.ts';
import type { Logger } from '../core/logger.ts';
import type { Observer, PoolFinding, SaveReport, StreamSummary } from '../core/observer.ts';
import { SeldomLines } from './seldom-lines.ts';

/** Each line of code and each route is logged once, up to this many; the metric counts every time. */
const PLACES_MAX = 1_000;

const POOL_SENTENCES: Readonly<Record<PoolFinding['kind'], string>> = {
  'across-stream': 'lastchunk: a database connection was held while a stream was written',
  long: 'lastchunk: a database connection is held for a long time',
  leaked: 'lastchunk: a database connection was lost without being released',
};

/** Returns all observers that write log lines. */
export function createLines(logger: Logger): readonly Observer[] {
  return [createLogLines(logger), createPoolLines(logger), createUseLines(logger)];
}

/** Writes the lines. Does not throw unless the logger does. */
export function createLogLines(logger: Logger): Observer {
  const seldom = new SeldomLines();
  return {
    onEnd: (summary) => logger.debug(streamFields(summary), 'lastchunk: stream ended'),
    onSave(report) {
      if (report.result === 'journaled') {
        logger.warn(
          saveFields(report),
          'lastchunk: message in the journal, the store does not have it yet',
        );
      } else if (report.result === 'lost') {
        logger.error(saveFields(report), 'lastchunk: message lost');
      } else if (report.result === 'missing') {
        logger.error(saveFields(report), 'lastchunk: no result of a save in time');
      }
    },
    onIdConflict(requestedId, messageId) {
      const fields = { requestedId, messageId };
      logger.warn(fields, 'lastchunk: message saved under another id, its own is taken');
    },
    onUnnamed({ route }, error) {
      seldom.tell(`unnamed ${route}`, (untold) =>
        logger.warn(
          { route, ...errorFields(error), untold },
          'lastchunk: message without a conversation',
        ),
      );
    },
    onInternalError(where, error) {
      seldom.tell(where, (untold) =>
        logger.error({ where, ...errorFields(error), untold }, 'lastchunk: internal error'),
      );
    },
  };
}

/** Writes a warning for each place. Does not throw unless the logger does. */
export function createPoolLines(logger: Logger): Observer {
  const told = new Set<string>();
  return {
    onPoolFinding(finding) {
      const { kind, pool, place } = finding;
      const key = `${kind} ${pool} ${place}`;
      if (told.has(key) || told.size >= PLACES_MAX) return;
      told.add(key);
      logger.warn(finding, POOL_SENTENCES[kind]);
    },
  };
}

/** Consecutive messages without a conversation on one route before it is logged. */
const UNNAMED_TOLD_AT = 10;

/** Warns once for each route whose messages have no conversation id: such messages cannot be found again by conversation. */
export function createUseLines(logger: Logger): Observer {
  const unnamed = new Map<string, number>();
  return {
    onEnd({ stream: { guarded, route, conversationId }, save }) {
      if (!guarded || save === 'empty' || save === 'discarded') return;
      const known = unnamed.get(route);
      if (known === undefined && unnamed.size >= PLACES_MAX) return;
      // Already logged: counting further has no use.
      if (known === UNNAMED_TOLD_AT) return;
      const count = typeof conversationId === 'string' ? 0 : (known ?? 0) + 1;
      unnamed.set(route, count);
      if (count < UNNAMED_TOLD_AT) return;
      logger.warn(
        { route },
        `lastchunk: ten messages without a conversation on ${route}: give its guard \`message: (req) => ({ conversationId })\``,
      );
    },
  };
}

function streamFields(summary: StreamSummary): object {
  // The finish reason is text of the body.
  const { stream, finishReason: _reason, usage: _usage, ...rest } = summary;
  const { id, route, method, guarded, format, chunks, bytes } = stream;
  return { streamId: id, route, method, guarded, format, chunks, bytes, ...rest };
}

function saveFields({ stream, ...rest }: SaveReport): object {
  return { streamId: stream?.id, ...rest };
}

/** The stack without its first line, which repeats the message; and the reason, which never contains text of a message. */
function errorFields(error: unknown): object {
  const stack = error instanceof Error ? error.stack : undefined;
  const frames = stack?.split('\n').filter((line) => line.startsWith('    at '));
  return {
    errorType: errorTypeOf(error),
    reason: describeError(error),
    stack: frames?.slice(0, 8).join('\n'),
  };
}
