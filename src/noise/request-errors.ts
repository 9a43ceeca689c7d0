/**
 * Records when a request failed, and whether this process had destroyed it. A destroyed request fails with the same `socket hang up` as
 * one whose server closed the connection, and an abort before the client left looks like one after it; the diagnostics channels of Node
 * and undici show the difference.
 */
import { subscribe } from 'node:diagnostics_channel';
import { type Moment, thisMoment } from '../core/current-stream.ts';
import { property } from './matcher.ts';
import { isReference } from '../core/values.ts';
import { sharedState } from '../core/shared-state.ts';

/** The record of a failed request. */
export interface RequestError {
  readonly at: Moment;
  /** This process had destroyed the request. */
  readonly destroyed: boolean;
}

/** By error; held weakly. */
const seen = sharedState('noise.request-errors', () => new WeakMap<object, RequestError>());

/** `http.client.request.error` of Node's `node:http`, `undici:request:error` of `fetch` and undici. */
const CHANNELS = ['http.client.request.error', 'undici:request:error'] as const;

let listening = false;

/** Subscribes to the channels, once; costs nothing until a request fails. */
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

/** The record of the request that failed with this error; `undefined` where there is none. */
export function requestErrorOf(error: object): RequestError | undefined {
  return seen.get(error);
}
