/** `expect()` and `track()`, for an app that saves its messages itself and wants the saves counted. */
import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { attach, streamOf } from './attach.ts';
import type { Response, RoutedRequest } from '../response/exchange.ts';
import { OwnSaves } from '../lifecycle/own-saves.ts';
import { observeSettings } from '../settings.ts';
import type { Environment, Stream } from '../lifecycle/stream.ts';
import { isThenable } from '../../core/values.ts';

/** Announces that the app will save a message of this response, if that is a stream. Never throws. */
export function expectSave(
  environment: Environment,
  res: ServerResponse | Http2ServerResponse,
): void {
  ownSavesOf(environment, res);
}

/**
 * The same, with the app's promise `save`, whose settlement is the result. Returns `save`. A rejection is counted and logged, and
 * does not end the process of an app that does not await it.
 */
export function trackSave<T>(
  environment: Environment,
  res: ServerResponse | Http2ServerResponse,
  save: T,
): T {
  const ownSaves = ownSavesOf(environment, res);
  if (!isThenable(save)) {
    environment.warnOnce('track', 'track() was given no promise; the save will be missing');
  } else if (ownSaves === undefined) {
    Promise.resolve(save).catch(() => sayUncounted(environment));
  } else ownSaves.track(save);
  return save;
}

/**
 * Waits until the app's own saves have settled, at most `patienceMs`; a save without a result then is `missing`. Called when an
 * instance closes, after which they would not be counted.
 */
export async function settleExpected(environment: Environment, patienceMs: number): Promise<void> {
  const waiting = [...environment.pendingOwnSaves];
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs);
  });
  await Promise.race([Promise.all(waiting.map((one) => one.answered())), patience]);
  clearTimeout(timer);
  for (const one of waiting) one.giveUp();
}

/** The `OwnSaves` of a response, made at the first call; `undefined` where these calls count nothing. */
function ownSavesOf(environment: Environment, res: object): OwnSaves | undefined {
  const stream = streamOf(res) ?? observed(environment, res);
  if (stream === undefined) {
    const advice = 'put observe() in front of the routes';
    environment.warnOnce('expect', `expect() and track() came after the headers: ${advice}`);
    return undefined;
  }
  if (stream.guarded) {
    environment.warnOnce(
      'expect under guard',
      'expect() and track() do nothing under a guard, whose own save is the one that counts',
    );
    return undefined;
  }
  if (stream.phase.kind === 'other') return undefined;
  stream.ownSaves ??= makeOwnSaves(stream);
  return stream.ownSaves;
}

/** Without `observe()`, a response can still be observed from here on, as long as its headers are not sent. */
function observed(environment: Environment, res: object): Stream | undefined {
  // The response of a handler is one of Node's, and has its request in `req`.
  const response = res as Response & { readonly req: RoutedRequest };
  if (response.headersSent) return undefined;
  return attach(response.req, response, observeSettings(), environment);
}

function makeOwnSaves(stream: Stream): OwnSaves {
  const { environment, settings } = stream;
  const ownSaves = new OwnSaves({
    view: stream,
    observer: environment.observer,
    missingAfterMs: settings.missingAfterMs,
    onPending: () => environment.pendingOwnSaves.add(ownSaves),
    onUncounted: () => sayUncounted(environment),
  });
  ownSaves.onResult = () => {
    if (ownSaves.pending === 0) environment.pendingOwnSaves.delete(ownSaves);
    stream.report.update();
  };
  if (stream.terminal !== undefined) ownSaves.settle();
  return ownSaves;
}

function sayUncounted(environment: Environment): void {
  environment.warnOnce('track failed', 'a save given to track() failed where none was counted');
}
