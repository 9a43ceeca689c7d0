/**
 * The route label: the pattern, never the URL, so that no client can create a new series, not even by changing the case of a path.
 * Express keeps the pattern of a route; of the routers and mount paths above it, only the text that they matched. Which segments of
 * that text are parameters is found by matching each layer again.
 */
import { isObject, isReference } from '../../core/values.ts';
import type { RoutedRequest } from '../response/exchange.ts';

/** The label of a response that no route matched. */
export const UNMATCHED = 'unmatched';

/** The label of a route with a further mount path, when `MOUNTS_AT_MOST` are known. */
const OTHER = 'other';

/**
 * Mount paths of one route that have labels. A route has one or a few; more come from requests of clients, where a regular expression
 * or a parameter matches any text.
 */
const MOUNTS_AT_MOST = 20;

/**
 * The whole Express pattern of the route that answers, including the patterns of the routers above it; the path of `app.use(path)`
 * where no route answers; else `unmatched`. Where the routers cannot be inspected, the pattern of the route alone.
 */
export function routeOf(req: RoutedRequest): string {
  const own = ownPattern(req.route?.path);
  const { baseUrl } = req;
  if (typeof baseUrl !== 'string' || baseUrl === '') return own ?? UNMATCHED;
  const mounted = mountPattern(req, baseUrl);
  if (mounted === undefined) return own ?? UNMATCHED;
  if (mounted === OTHER) return OTHER;
  if (own === undefined) return mounted === '' ? UNMATCHED : mounted;
  if (own === '/') return mounted;
  return own.replaceAll(/(^|,)\//g, (_, before: string) => `${before}${mounted}/`);
}

function ownPattern(path: unknown): string | undefined {
  if (typeof path === 'string') return path === '' ? undefined : path;
  if (path instanceof RegExp) return String(path);
  if (Array.isArray(path) && path.length > 0) return path.map(String).join(',');
  return undefined;
}

/** A layer of Express's router, in versions 4 and 5. */
interface Layer {
  readonly route?: unknown;
  readonly handle?: unknown;
  /** The part of the path that the last `match` took, and its parameters, where `match` returns only `true`. */
  readonly path?: unknown;
  readonly params?: unknown;
  match(path: string): unknown;
}

/** The part of a path that a layer matched. */
interface Taken {
  readonly path: string;
  readonly params: object;
  /** Only newer routers return it. */
  readonly pattern: string | undefined;
}

function take(layer: Layer, path: string): Taken | undefined {
  const answer = layer.match(path);
  if (answer === false || answer === undefined || answer === null) return undefined;
  const said: { path?: unknown; params?: unknown; pattern?: unknown } = isObject(answer)
    ? answer
    : layer;
  return {
    path: typeof said.path === 'string' ? said.path.replace(/\/$/, '') : '',
    params: isObject(said.params) ? said.params : {},
    pattern: isObject(answer) && typeof said.pattern === 'string' ? said.pattern : undefined,
  };
}

/** Mount patterns by the route below them; by the app for `app.use(path)`, which has no route. */
const knownMounts = new WeakMap<object, Map<string, readonly string[]>>();

/**
 * The pattern of what was matched above the route; `undefined` where it cannot be found, `OTHER` when too many are known. A known
 * pattern is found without the routers; where two fit, the one that was found first counts.
 */
function mountPattern(req: RoutedRequest, baseUrl: string): string | undefined {
  const { app } = req as { readonly app?: unknown };
  const key = isReference(req.route) ? req.route : app;
  if (!isReference(key)) return undefined;
  let known = knownMounts.get(key);
  if (known === undefined) knownMounts.set(key, (known = new Map()));
  const segments = baseUrl.split('/');
  for (const [pattern, parts] of known) if (fits(parts, segments)) return pattern;
  let found: string | undefined;
  try {
    found = patternWithin(app, baseUrl, req.route);
  } catch {
    // Not a router of Express, or a path that cannot be decoded: the pattern of the route alone is still correct.
  }
  if (found === undefined || known.has(found)) return found;
  if (known.size >= MOUNTS_AT_MOST) return OTHER;
  known.set(found, found.split('/'));
  return found;
}

function fits(parts: readonly string[], segments: readonly string[]): boolean {
  if (parts.length !== segments.length) return false;
  return parts.every((part, at) =>
    part.startsWith(':') ? segments[at] !== '' : part === segments[at],
  );
}

/** The pattern within an app, with the mount path of each app above it in front. */
function patternWithin(app: unknown, baseUrl: string, route: unknown): string | undefined {
  if (typeof app !== 'function' && !isObject(app)) return undefined;
  const { parent, mountpath } = app as { readonly parent?: unknown; readonly mountpath?: unknown };
  let [above, rest] = ['', baseUrl];
  if (parent !== undefined && typeof mountpath === 'string' && mountpath !== '/') {
    const segments = baseUrl.split('/');
    const depth = mountpath.split('/').length;
    rest = segments
      .slice(depth)
      .map((segment) => `/${segment}`)
      .join('');
    const outer = segments.slice(0, depth).join('/');
    // An app that is mounted in a router has a longer path than its `mountpath`.
    above = patternWithin(parent, outer, undefined) ?? mountpath;
  }
  const { _router: four } = app as { readonly _router?: unknown };
  // Reading `router` throws in Express 4.
  const router = four ?? (app as { readonly router?: unknown }).router;
  const below = rest === '' ? '' : patternIn(router, rest, route);
  return below === undefined ? undefined : above + below;
}

/** The pattern of the layers that match `rest` and, if there is a `route`, contain it. */
function patternIn(router: unknown, rest: string, route: unknown): string | undefined {
  for (const layer of layersOf(router)) {
    const taken = layer.route === undefined ? take(layer, rest === '' ? '/' : rest) : undefined;
    if (taken === undefined) continue;
    const left = rest.slice(taken.path.length);
    const inner = layersOf(layer.handle);
    const isHere = inner.some((one) => one.route !== undefined && one.route === route);
    if (left === '' && (isHere || route === undefined)) return patternOf(layer, taken);
    const below = inner.length === 0 ? undefined : patternIn(layer.handle, left, route);
    if (below !== undefined) return patternOf(layer, taken) + below;
  }
  return undefined;
}

/** A segment that clients do not send and that no regular expression of a parameter is written for. */
const PROBE = 'lastchunk-probe';

/**
 * What a layer matched, with the names of its parameters. A segment is a parameter if the layer also matches another word in its
 * place, or, for a parameter with a regular expression of its own, if the segment is the value of a parameter.
 */
function patternOf(layer: Layer, { path, params, pattern }: Taken): string {
  if (path === '') return '';
  if (pattern !== undefined) return pattern.replace(/\/$/, '');
  const names = namesByValue(params);
  const segments = path.split('/');
  const probed = segments.map((segment, at) => {
    const other = segment === '' ? undefined : take(layer, segments.with(at, PROBE).join('/'));
    return other === undefined ? undefined : namesByValue(other.params).get(PROBE);
  });
  const isAnyCase = take(layer, swapCase(path)) !== undefined;
  // Restores the layer's state: it keeps what it matched last.
  take(layer, path);
  const named = segments.map((segment, at) => {
    const byValue = names.get(decoded(segment));
    const name = probed[at] ?? (probed.includes(byValue) ? undefined : byValue);
    if (name !== undefined) return `:${name}`;
    return isAnyCase ? segment.toLowerCase() : segment;
  });
  // A parameter may match several segments, as many as the client sends.
  return named.filter((name, at) => !name.startsWith(':') || name !== named[at - 1]).join('/');
}

function swapCase(text: string): string {
  const upper = text.toUpperCase();
  return upper === text ? text.toLowerCase() : upper;
}

function namesByValue(params: object): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [name, value] of Object.entries(params)) {
    for (const part of Array.isArray(value) ? value : String(value).split('/')) {
      names.set(String(part), name);
    }
  }
  return names;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    // Express refuses such a path itself.
    return segment;
  }
}

function layersOf(router: unknown): readonly Layer[] {
  if (typeof router !== 'function' && !isObject(router)) return [];
  const { stack } = router as { readonly stack?: unknown };
  if (!Array.isArray(stack)) return [];
  return stack.filter((layer): layer is Layer => isObject(layer) && 'match' in layer);
}
