/**
 * Whether a response is a stream, asked with what its app's options say; and where the answer is no on a guarded route, so
 * that nothing of it is kept, that this is said.
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

/** The call at which it is asked, and the body that it brings. */
export interface DecidingBody {
  readonly call: DecidingCall;
  /** False for an `end` without a body. */
  readonly hasBody: boolean;
  /** What `write` or `end` was given. */
  readonly chunk?: unknown;
}

/** Decides an undecided response; `later` leaves it as it is, `other` makes it one. */
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

/** Counts an answer that should perhaps have been kept; the first of a route is told in words. */
function tellUnrecognised(stream: Stream, { status, contentType }: ResponseHead): void {
  const { guarded, method, route, environment } = stream;
  if (!guarded || method === 'HEAD' || status < 200 || status > 299) return;
  // These have no body whatever their handler writes.
  if (status === 204 || status === 205) return;
  environment.observer.onUnrecognised(stream, contentType);
  const type = contentType === '' ? 'no media type' : contentType;
  environment.warnOnce(
    `unrecognised ${route}`,
    `an answer of the guarded route ${route} (${type}) was not taken for a stream, and nothing of it is kept: give its ` +
      'guard `stream: true` or a `format` if it is one, `stream: (res) => boolean` if only some are',
  );
}

/** The option `stream`, asked; undefined where the default rule decides. */
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
