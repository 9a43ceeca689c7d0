/**
 * Decides whether a response is a stream, by the options of its guard. Where a successful response of a guarded route is not one, so
 * that nothing of it is kept, this is counted and logged.
 */
import {
  type DecidingCall,
  isStream,
  type ResponseHead,
  type StreamRules,
} from '../response/is-stream.ts';
import { beginsVendorAnswer, isVendorAnswer } from '../../formats/index.ts';
import { step } from '../lifecycle/effects.ts';
import type { Stream } from '../lifecycle/stream.ts';

/** The call at which it is decided, and the body of that call. */
export interface DecidingBody {
  readonly call: DecidingCall;
  /** False for an `end` without a body. */
  readonly hasBody: boolean;
  /** The chunk given to `write` or `end`. */
  readonly chunk?: unknown;
}

/** Decides an undecided response: `later` leaves it undecided, `other` puts it into that phase. */
export function decide(
  stream: Stream,
  head: ResponseHead,
  { call, hasBody, chunk }: DecidingBody,
): 'stream' | 'other' | 'later' {
  const forced = forcedBy(stream);
  const rules: StreamRules = {
    explicitFormat: stream.settings.format !== 'auto',
    forced,
    isAnswer: () => (call === 'end' ? isVendorAnswer(chunk) : beginsVendorAnswer(chunk)),
    guarded: stream.guarded,
  };
  const answer = isStream({ method: stream.method, ...head }, call, hasBody, rules);
  if (answer === 'later') return 'later';
  if (answer) return 'stream';
  if (hasBody && forced !== false) tellUnrecognised(stream, head);
  step(stream, 'no-stream');
  return 'other';
}

/** Counts a response that should perhaps have been kept; the first of a route is logged. */
function tellUnrecognised(stream: Stream, { status, contentType }: ResponseHead): void {
  const { guarded, method, route, environment } = stream;
  if (!guarded || method === 'HEAD' || status < 200 || status > 299) return;
  // Node sends no body with these, whatever their handler writes.
  if (status === 204 || status === 205) return;
  environment.observer.onUnrecognised(stream, contentType);
  const type = contentType === '' ? 'no media type' : contentType;
  environment.warnOnce(
    `unrecognised ${route}`,
    `an answer of the guarded route ${route} (${type}) was not taken for a stream, and nothing of it is kept: give its ` +
      'guard `stream: true` or a `format` if it is one, `stream: (res) => boolean` if only some are',
  );
}

/** The result of the option `stream`; undefined where the default rule decides. */
function forcedBy(stream: Stream): boolean | undefined {
  const option = stream.settings.stream;
  if (option === undefined || option === true) return option;
  try {
    return option(stream.exchange.res) === true;
  } catch (error) {
    stream.environment.onInternalError('stream', error);
    return undefined;
  }
}
