/**
 * Which requests of `node:http` were destroyed by this process. Their error, `socket hang up`, is the same as that of a
 * request whose server hung up; the request itself knows, and Node's diagnostics channel tells of both together.
 */
import { subscribe } from 'node:diagnostics_channel';
import { isObject, property } from './look.ts';

/** When each error of a request that was destroyed here came, by `performance.now()`. Holds no error. */
const destroyed = new WeakMap<object, number>();

let listening = false;

/** Listens from now on; costs nothing but at an error of a request. */
export function watchRequests(): void {
  if (listening) return;
  listening = true;
  subscribe('http.client.request.error', (event) => {
    const { request, error } = event as { request?: unknown; error?: unknown };
    if (!isObject(request) || !isObject(error)) return;
    if (property(request, 'destroyed') === true) destroyed.set(error, performance.now());
  });
}

/** When this error of a request came, if this process had destroyed it. */
export function destroyedRequestAtMs(error: object): number | undefined {
  return destroyed.get(error);
}
