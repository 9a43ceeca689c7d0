/**
 * When the errors of requests came, and whether this process had destroyed the request. A request that was destroyed
 * fails with the same `socket hang up` as one whose server hung up, and an abort from before the client left looks like
 * one from after it; what Node and undici tell on their diagnostics channels shows the difference.
 */
import { subscribe } from 'node:diagnostics_channel';
import { type Moment, thisMoment } from '../core/current-stream.ts';
import { property } from './matcher.ts';
import { isReference } from '../core/values.ts';
import { sharedState } from '../core/shared-state.ts';

/** What is known of the error of a request. */
export interface RequestError {
  readonly at: Moment;
  /** This process had destroyed the request. */
  readonly destroyed: boolean;
}

/** By error. Holds no error. */
const seen = sharedState('noise.request-errors', () => new WeakMap<object, RequestError>());

/** `http.client.request.error` of Node's `node:http`, `undici:request:error` of `fetch` and undici. */
const CHANNELS = ['http.client.request.error', 'undici:request:error'] as const;

let listening = false;

/** Listens from now on; costs nothing but at an error of a request. */
export function watchRequests(): void {
  if (listening) return;
  listening = true;
  for (const channel of CHANNELS) subscribe(channel, note);
}

function note(event: unknown): void {
  const { request, error } = event as { request?: unknown; error?: unknown };
  if (!isReference(request) || !isReference(error) || seen.has(error)) return;
  const destroyed = property(request, 'destroyed') === true;
  seen.set(error, { at: thisMoment(), destroyed });
}

/** What is known of this error, if it is that of a request. */
export function requestErrorOf(error: object): RequestError | undefined {
  return seen.get(error);
}
