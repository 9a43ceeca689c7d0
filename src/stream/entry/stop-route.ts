/** The route that stops a stream: `DELETE /streams/:streamId`, for a client that wants no more of an answer. */
import { errorTypeOf } from '../../core/errors.ts';
import { bad } from '../../core/options.ts';
import { stop } from '../lifecycle/ending.ts';
import type { Environment, Stream } from '../lifecycle/stream.ts';
import { handleOf, type StreamHandle } from '../lifecycle/stream-handle.ts';
import type { Response, RoutedRequest } from '../response/exchange.ts';
import type { AppRequest } from '../settings.ts';
import { asMiddleware, type Middleware } from './middleware.ts';

/** `sendBeacon` and forms can only POST. */
const METHODS: readonly string[] = ['DELETE', 'POST'];

/** Who may stop a stream. */
export interface StopOptions<Req = AppRequest> {
  /** True lets this request stop that stream. Required: a stream's id is no secret. */
  readonly authorize: (req: Req, stream: StreamHandle) => boolean | Promise<boolean>;
}

/** Answers `DELETE /streams/:streamId`: stops that stream and says what became of its message. */
export function stopMiddleware<Req>(
  environment: Environment,
  options: StopOptions<Req>,
): Middleware {
  // Called from JavaScript as well, where the argument can be missing.
  const authorize = (options as StopOptions<Req> | undefined)?.authorize;
  if (typeof authorize !== 'function') {
    throw bad('stopHandler() needs `authorize`, a function (req, stream) => boolean');
  }
  const isAllowed = async (req: RoutedRequest, stream: Stream): Promise<boolean> => {
    try {
      // The app's own request type is what its framework passes here.
      return (await authorize(req as Req, handleOf(stream))) === true;
    } catch (error) {
      const message = `authorize() of stopHandler() threw (${errorTypeOf(error)}): the stream goes on`;
      environment.warnOnce('authorize', message);
      return false;
    }
  };
  const answerStop = async (req: RoutedRequest, res: Response): Promise<void> => {
    if (!METHODS.includes(req.method ?? '')) {
      res.setHeader('Allow', METHODS.join(', '));
      return answer(res, 405, { error: 'method not allowed' });
    }
    const stream = environment.live.get(idIn(req));
    // Unknown, somebody else's, or an authorize() that throws: the answer must not tell which.
    if (stream === undefined || !(await isAllowed(req, stream))) {
      return answer(res, 404, { error: 'not found' });
    }
    stop(stream, 'stopped by the client', 'client');
    const save = await stream.report.whenSettled();
    const safe = save !== 'lost' && save !== 'missing';
    answer(res, safe ? 200 : 503, {
      streamId: stream.id,
      messageId: stream.identity.id,
      outcome: stream.terminal?.outcome,
      save,
    });
  };
  return asMiddleware((req, res, next) =>
    answerStop(req, res).catch((error: unknown) => {
      if (next === undefined) answer(res, 500, { error: 'internal error' });
      else next(error);
    }),
  );
}

/** `:streamId` of the route, or the last segment of the path where there is no router. */
function idIn(req: RoutedRequest): string {
  const path = (req.url ?? '').split('?', 1)[0] ?? '';
  return req.params?.['streamId'] ?? path.slice(path.lastIndexOf('/') + 1);
}

function answer(res: Response, status: number, body: object): void {
  res.statusCode = status;
  res.setHeader('Content-Type', 'application/json');
  res.setHeader('Cache-Control', 'no-store');
  res.end(JSON.stringify(body));
}
