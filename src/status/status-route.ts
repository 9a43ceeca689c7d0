/**
 * The route of the status: a page for a person, the same as JSON for a program, its changes as events, and the runbooks. The responses are
 * never treated as streams, even behind a guard: none is counted, and no message is kept.
 */
import { errorTypeOf } from '../core/errors.ts';
import {
  bad,
  flag,
  optionGroup,
  refuseUncalled,
  refuseUnknown,
  wholeNumber,
} from '../core/options.ts';
import { ruleGroups } from '../slo/rules.ts';
import { resolveSlo, type SloOptions } from '../slo/settings.ts';
import { markNoStream } from '../stream/entry/attach.ts';
import type { Middleware } from '../stream/entry/middleware.ts';
import type { Environment } from '../stream/lifecycle/stream.ts';
import { answerJson, asRoute } from '../stream/resume/route-words.ts';
import { isGone, type Response, type RoutedRequest } from '../stream/response/exchange.ts';
import type { AppRequest } from '../stream/settings.ts';
import type { InstanceStatus, Status, StatusAlert, StatusAnswer } from './instance-status.ts';
import { type Page, runbookPage, statusPage } from './pages.ts';
import { isBelowPage, requestedBy } from './requested.ts';
import { Viewers } from './viewers.ts';

/** Options of `statusHandler()`. */
export interface StatusOptions<Req = AppRequest> {
  /** Returns true if the request may see the status: page, JSON, events and runbooks. Required. */
  readonly authorize: (req: Req) => boolean | Promise<boolean>;
  /** Shows the conversation of live streams. Default false, because it is user data. */
  readonly conversations?: boolean;
  /** The objectives given to `lastchunk rules`, for the thresholds that the page shows. Default: the defaults of that command. */
  readonly slo?: SloOptions;
  /** Maximum number of open pages in this process, 1 to 1 000; default 16. Further pages request the status every five seconds. */
  readonly maxViewers?: number;
}

/** The checked options. */
interface StatusSettings {
  readonly authorize: (req: unknown) => unknown;
  readonly conversations: boolean;
  readonly maxViewers: number;
  readonly constant: Pick<StatusAnswer, 'objectives' | 'alerts'>;
}

/** Answers `GET` of the status and of the runbooks below it. Throws `bad-option`. */
export function statusMiddleware<Req>(
  environment: Environment,
  status: InstanceStatus,
  options: StatusOptions<Req>,
): Middleware {
  refuseUncalled('keep.statusHandler', options, 'keep.statusHandler({ authorize })');
  const route = new StatusRoute(environment, status, settingsOf(options));
  return asRoute((req, res) => route.answer(req, res));
}

function settingsOf<Req>(options: StatusOptions<Req>): StatusSettings {
  // Called from JavaScript as well, where the argument can be missing.
  const given = optionGroup('statusHandler()', options);
  refuseUnknown('statusHandler()', given, ['authorize', 'conversations', 'slo', 'maxViewers']);
  const { authorize } = given;
  if (typeof authorize !== 'function') {
    throw bad('statusHandler() needs `authorize`, a function (req) => boolean');
  }
  // Its keys and values are checked by `resolveSlo`.
  const slo = optionGroup('slo', given['slo']) as SloOptions;
  const { objective, timeliness } = resolveSlo(slo);
  return {
    // The app's own request type is what its framework passes here.
    authorize: authorize as StatusSettings['authorize'],
    conversations: flag('conversations', given['conversations'], false),
    maxViewers: wholeNumber('maxViewers', given['maxViewers'], {
      min: 1,
      max: 1_000,
      fallback: 16,
    }),
    constant: { objectives: { saved: objective, timely: timeliness }, alerts: alertsOf(slo) },
  };
}

function alertsOf(slo: SloOptions): StatusAlert[] {
  return ruleGroups(slo)
    .flatMap(({ rules }) => rules)
    .filter((rule) => 'alert' in rule)
    .map(({ alert, labels, annotations, expr, for: wait }) => ({
      name: alert,
      severity: labels.severity,
      summary: annotations.summary,
      expr,
      wait,
    }));
}

class StatusRoute {
  readonly #environment: Environment;
  readonly #status: InstanceStatus;
  readonly #settings: StatusSettings;
  readonly #viewers: Viewers;

  constructor(environment: Environment, status: InstanceStatus, settings: StatusSettings) {
    this.#environment = environment;
    this.#status = status;
    this.#settings = settings;
    this.#viewers = new Viewers({
      maxViewers: settings.maxViewers,
      read: () => JSON.stringify(this.#read()),
      isClosing: () => environment.closing,
      onError: (error) => environment.onInternalError('observer', error),
    });
  }

  async answer(req: RoutedRequest, res: Response): Promise<void> {
    markNoStream(res);
    // 404 also if authorize() throws: a client that is not authorised must not learn that there is a status here.
    if (!(await this.#isAllowed(req))) return answerJson(res, 404, { error: 'not found' });
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.setHeader('Allow', 'GET, HEAD');
      return answerJson(res, 405, { error: 'method not allowed' });
    }
    // The response has closed already: a viewer added now would never be removed.
    if (isGone(res)) return;
    for (const [name, value] of HEADERS) res.setHeader(name, value);
    const requested = requestedBy(req);
    switch (requested.kind) {
      case 'runbook': {
        const page = runbookPage(requested.name, isBelowPage(req) ? './' : '?');
        if (page === undefined) return answerJson(res, 404, { error: 'no such runbook' });
        return answerPage(res, page);
      }
      case 'page':
        return answerPage(res, statusPage(this.#answer()));
      case 'json':
        return answerJson(res, 200, this.#answer());
      case 'events':
        // A HEAD request has no body: the response ends at once.
        if (req.method === 'HEAD') return void res.end();
        return this.#view(res);
    }
  }

  #view(res: Response): void {
    if (this.#viewers.hasRoom) return this.#viewers.add(res);
    res.setHeader('Retry-After', '5');
    answerJson(res, 503, { error: 'too many viewers' });
  }

  #read(): Status {
    return this.#status.read(this.#settings.conversations);
  }

  #answer(): StatusAnswer {
    return { ...this.#read(), ...this.#settings.constant };
  }

  async #isAllowed(req: RoutedRequest): Promise<boolean> {
    try {
      return (await this.#settings.authorize(req)) === true;
    } catch (error) {
      const message = `authorize() of statusHandler() threw (${errorTypeOf(error)}): nothing is shown`;
      this.#environment.warnOnce('authorize status', message);
      return false;
    }
  }
}

/** The headers of every answer to an authorised request. */
const HEADERS: readonly (readonly [string, string])[] = [
  ['Cache-Control', 'no-store'],
  ['Vary', 'Accept'],
  ['X-Content-Type-Options', 'nosniff'],
  ['Referrer-Policy', 'no-referrer'],
  // No page of another origin can load the answer as a script or an image, or show it in a frame.
  ['Cross-Origin-Resource-Policy', 'same-origin'],
  ['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
];

function answerPage(res: Response, { html, policy }: Page): void {
  res.statusCode = 200;
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  res.setHeader('Content-Security-Policy', policy);
  res.end(html);
}
