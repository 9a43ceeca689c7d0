/** `expect()` and `track()`: the app saves its messages itself and wants them counted. */
import type { ServerResponse } from 'node:http';
import type { Http2ServerResponse } from 'node:http2';
import { attach, streamOf } from './attach.ts';
import type { Response, RoutedRequest } from '../response/exchange.ts';
import { OwnSaves } from '../lifecycle/own-saves.ts';
import { observeSettings } from '../settings.ts';
import type { Environment, Stream } from '../lifecycle/stream.ts';
import { isThenable } from '../../core/values.ts';

/** A message of this response is expected, if it is a stream. Never throws. */
export function expectSave(
  environment: Environment,
  res: ServerResponse | Http2ServerResponse,
): void {
  ownSavesOf(environment, res);
}

/**
 * The same, and `save` says what became of it. Gives back what it was given. Its rejection is counted and logged,
 * and does not end the process of an app that does not wait for it.
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
 * Waits until the app's own saves have answered, at most `patienceMs`; what has no result then is `missing`. For the end of
 * an instance, after which nobody would count them.
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

/** Made at the first call; `undefined` where nothing is counted by these calls. */
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

/** Without `observe()`, a response can still be watched from here on, as long as its headers are open. */
function observed(environment: Environment, res: object): Stream | undefined {
  // What a handler has in its hands is a response of Node's, and knows its request.
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
