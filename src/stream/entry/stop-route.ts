/** The route that stops a stream: `DELETE /streams/:streamId`, for a client that no longer wants the answer. */
import { errorTypeOf } from '../../core/errors.ts';
import { bad, refuseUncalled } from '../../core/options.ts';
import { stop } from '../lifecycle/ending.ts';
import type { Environment } from '../lifecycle/stream.ts';
import { type Allows, answerStopElsewhere } from '../resume/stop-elsewhere.ts';
import { handleOf, type StreamHandle } from '../lifecycle/stream-handle.ts';
import type { Response, RoutedRequest } from '../response/exchange.ts';
import { answerJson, asRoute, idIn } from '../resume/route-words.ts';
import type { AppRequest } from '../settings.ts';
import type { Middleware } from './middleware.ts';

/** `sendBeacon` and forms can only POST. */
const METHODS: readonly string[] = ['DELETE', 'POST'];

/** Who may stop a stream. */
export interface StopOptions<Req = AppRequest> {
  /** True lets this request stop that stream. Required: a stream's id is no secret. */
  readonly authorize: (req: Req, stream: StreamHandle) => boolean | Promise<boolean>;
}

/** Answers `DELETE /streams/:streamId`: stops that stream and returns the result of its message. */
export function stopMiddleware<Req>(
  environment: Environment,
  options: StopOptions<Req>,
): Middleware {
  refuseUncalled('keep.stopHandler', options, 'keep.stopHandler({ authorize })');
  // Called from JavaScript as well, where the argument can be missing.
  const authorize = (options as StopOptions<Req> | undefined)?.authorize;
  if (typeof authorize !== 'function') {
    throw bad('stopHandler() needs `authorize`, a function (req, stream) => boolean');
  }
  const isAllowed: Allows = async (req, stream) => {
    try {
      // The app's own request type is what its framework passes here.
      return (await authorize(req as Req, stream)) === true;
    } catch (error) {
      const message = `authorize() of stopHandler() threw (${errorTypeOf(error)}): the stream goes on`;
      environment.warnOnce('authorize', message);
      return false;
    }
  };
  const answerStop = async (req: RoutedRequest, res: Response): Promise<void> => {
    if (!METHODS.includes(req.method ?? '')) {
      res.setHeader('Allow', METHODS.join(', '));
      return answerJson(res, 405, { error: 'method not allowed' });
    }
    const stream = environment.live.get(idIn(req));
    const { relay } = environment;
    if (stream === undefined && relay !== undefined) {
      return answerStopElsewhere({ relay, environment }, req, res, isAllowed);
    }
    // Unknown stream, not authorized, or authorize() threw: the answer must be the same for all three.
    if (stream === undefined || !(await isAllowed(req, handleOf(stream)))) {
      return answerJson(res, 404, { error: 'not found' });
    }
    stop(stream, 'stopped by the client', 'client');
    const save = await stream.report.whenSettled();
    const safe = save !== 'lost' && save !== 'missing';
    answerJson(res, safe ? 200 : 503, {
      streamId: stream.id,
      messageId: stream.identity.id,
      outcome: stream.terminal?.outcome,
      save,
    });
  };
  return asRoute(answerStop);
}
