/**
 * The route that resumes a stream: it sends the exact bytes of the body from an offset on, follows the stream, and ends as it ended,
 * on any instance. The resumed response itself is not a stream of a guard: no message is kept of it, even behind a guard.
 */
import { errorTypeOf } from '../../core/errors.ts';
import type { ResumeResult } from '../../core/observer.ts';
import {
  bad,
  optionalFunction,
  optionGroup,
  refuseUncalled,
  refuseUnknown,
  wholeNumber,
} from '../../core/options.ts';
import type { RelayInstance } from '../../relay/instance.ts';
import { markNoStream } from '../entry/attach.ts';
import type { Middleware } from '../entry/middleware.ts';
import type { Environment } from '../lifecycle/stream.ts';
import { isGone, type Response, type RoutedRequest } from '../response/exchange.ts';
import type { AppRequest } from '../settings.ts';
import {
  answerAway,
  answerJson,
  asRoute,
  idIn,
  offsetOf,
  type RequestedOffset,
} from './route-words.ts';
import { findStream, type FoundStream, type ResumableStream } from './find-stream.ts';
import { breakOff, ResumedResponse } from './resumed-response.ts';

/** Which stream a request is about. */
export type ResumeTarget =
  | { readonly streamId: string }
  /** The newest stream of the conversation that has not ended. */
  | { readonly conversationId: string };

/** Who may resume which stream. */
export interface ResumeOptions<Req = AppRequest> {
  /** True lets this request read that stream. Required: a stream's id is no secret. */
  readonly authorize: (req: Req, stream: ResumableStream) => boolean | Promise<boolean>;
  /**
   * Returns which stream to resume; `undefined` for none, which is answered with 204. Default: the stream that the path names, by
   * `:streamId` or by its last segment.
   */
  readonly find?: (req: Req) => ResumeTarget | undefined | Promise<ResumeTarget | undefined>;
  /** Readers of one stream in this process; default 256, 1 to 100 000. */
  readonly maxReaders?: number;
}

/** What the options say, checked. */
interface ResumeSettings {
  readonly authorize: (req: unknown, stream: ResumableStream) => unknown;
  readonly find: ((req: unknown) => unknown) | undefined;
  readonly maxReaders: number;
}

/** Answers `GET /streams/:streamId?offset=N`. Throws `bad-option`, also without the option `relay`. */
export function resumeMiddleware<Req>(
  environment: Environment,
  options: ResumeOptions<Req>,
): Middleware {
  refuseUncalled('keep.resumeHandler', options, 'keep.resumeHandler({ authorize })');
  const { relay } = environment;
  if (relay === undefined) throw bad('resumeHandler() needs the option `relay` of lastchunk()');
  const route = new ResumeRoute(environment, relay, settingsOf(options));
  return asRoute((req, res) => route.answer(req, res));
}

function settingsOf<Req>(options: ResumeOptions<Req>): ResumeSettings {
  // Called from JavaScript as well, where the argument can be missing.
  const given = optionGroup('resumeHandler()', options);
  refuseUnknown('resumeHandler()', given, ['authorize', 'find', 'maxReaders']);
  const authorize = optionalFunction('authorize', given['authorize']);
  if (authorize === undefined) {
    throw bad('resumeHandler() needs `authorize`, a function (req, stream) => boolean');
  }
  return {
    // The app's own request type is what its framework passes here.
    authorize: authorize as ResumeSettings['authorize'],
    find: optionalFunction('find', given['find']) as ResumeSettings['find'],
    maxReaders: wholeNumber('maxReaders', given['maxReaders'], {
      min: 1,
      max: 100_000,
      fallback: 256,
    }),
  };
}

class ResumeRoute {
  readonly #environment: Environment;
  readonly #relay: RelayInstance;
  readonly #settings: ResumeSettings;

  constructor(environment: Environment, relay: RelayInstance, settings: ResumeSettings) {
    this.#environment = environment;
    this.#relay = relay;
    this.#settings = settings;
  }

  async answer(req: RoutedRequest, res: Response): Promise<void> {
    markNoStream(res);
    if (req.method !== 'GET') {
      res.setHeader('Allow', 'GET');
      return answerJson(res, 405, { error: 'method not allowed' });
    }
    const requested = offsetOf(req);
    if (requested === undefined) {
      this.#tell(undefined, 'refused');
      return answerJson(res, 400, { error: 'offset must be a whole number of bytes' });
    }
    const { find } = this.#settings;
    const target = find === undefined ? { streamId: idIn(req) } : await find(req);
    const stream = await this.#find(target);
    if (stream === 'away') {
      this.#tell(undefined, 'away');
      return requested.isByEventId ? answerBroken(res) : answerAway(res);
    }
    // Unknown stream, not authorized, or authorize() threw: the answer must be the same for all three.
    if (stream === undefined || !(await this.#isAllowed(req, stream))) {
      this.#tell(undefined, 'not-found');
      return find === undefined ? answerJson(res, 404, { error: 'not found' }) : answerNothing(res);
    }
    this.#tell(stream, this.#resume(res, stream, requested));
  }

  async #find(target: unknown): Promise<FoundStream | undefined | 'away'> {
    try {
      return await findStream(this.#relay, target);
    } catch (error) {
      this.#environment.warnOnce(
        'resume',
        `a stream could not be resumed: the relay is away (${errorTypeOf(error)})`,
      );
      return 'away';
    }
  }

  async #isAllowed(req: RoutedRequest, { stream }: FoundStream): Promise<boolean> {
    try {
      return (await this.#settings.authorize(req, stream)) === true;
    } catch (error) {
      const message = `authorize() of resumeHandler() threw (${errorTypeOf(error)}): nothing is resumed`;
      this.#environment.warnOnce('authorize resume', message);
      return false;
    }
  }

  #resume(
    res: Response,
    { stream, response, end, traceparent }: FoundStream,
    { offset, isByEventId }: RequestedOffset,
  ): ResumeResult {
    if (end !== null && offset > end.length && response !== undefined) {
      answerBeyond(res, end.length);
      return 'refused';
    }
    // The client has the whole body, and no regular end is to follow; or it is an EventSource, which takes that end for a lost connection
    // and reconnects until it gets 204.
    const isOver = end !== null && offset === end.length && (isByEventId || !end.isTidy);
    if (response === undefined || isOver) {
      answerNothing(res);
      return 'nothing';
    }
    if (this.#relay.readers(stream.id) >= this.#settings.maxReaders) {
      if (isByEventId) answerBroken(res);
      else answerBusy(res);
      return 'busy';
    }
    // The client disconnected while authorize() ran: no answer is needed.
    if (isGone(res)) return 'nothing';
    const resumed = new ResumedResponse(res, response, offset, () => answerBeyond(res));
    res.on('close', this.#environment.trace.resume({ id: stream.id, traceparent }));
    resumed.follow(this.#relay, stream.id);
    return 'resumed';
  }

  #tell(found: FoundStream | undefined, result: ResumeResult): void {
    const { observer } = this.#environment;
    if (found === undefined) return observer.onResume('', 'none', result);
    const { id, route } = found.stream;
    const isHere = this.#relay.streamOf(id) !== undefined;
    observer.onResume(route, isHere ? 'memory' : 'relay', result);
  }
}

function answerNothing(res: Response): void {
  res.statusCode = 204;
  res.setHeader('Cache-Control', 'no-store');
  res.end();
}

function answerBusy(res: Response): void {
  res.setHeader('Retry-After', '1');
  answerJson(res, 429, { error: 'too many readers' });
}

/**
 * Not now, for an `EventSource` that connects again: an error status would close it for good, and after a response that breaks off it
 * tries again. The head is sent because a proxy makes an error status of a connection that breaks before it.
 */
function answerBroken(res: Response): void {
  res.statusCode = 200;
  res.setHeader('Content-Type', 'text/event-stream');
  res.setHeader('Cache-Control', 'no-store');
  res.flushHeaders();
  breakOff(res);
}

/** The offset is beyond the end of the body. */
function answerBeyond(res: Response, length?: number): void {
  res.setHeader('Content-Range', `bytes */${length ?? '*'}`);
  answerJson(res, 416, { error: 'offset is beyond the end' });
}
