/** The route label: the pattern, never the URL, so that no client can make a new series. */
import type { RoutedRequest } from '../response/exchange.ts';

/** The label of a response that no route matched. */
export const UNMATCHED = 'unmatched';

/**
 * The Express pattern of the route that answers, or `unmatched`. `baseUrl` is left out on purpose: it
 * holds the resolved parameters of the routers above, which are the client's words.
 */
export function routeOf(req: RoutedRequest): string {
  const path = req.route?.path;
  if (typeof path === 'string') return path === '' ? UNMATCHED : path;
  if (path instanceof RegExp) return String(path);
  if (Array.isArray(path) && path.length > 0) return path.map(String).join(',');
  return UNMATCHED;
}
