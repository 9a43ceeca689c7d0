/**
 * The route label: the pattern, never the URL, so that no client can make a new series, also not by the case of a path.
 * Express keeps the pattern of a route,
 * and of the routers and paths above it only what they matched; what is a parameter there is found by asking each layer again.
 */
import { isObject, isReference } from '../../core/values.ts';
import type { RoutedRequest } from '../response/exchange.ts';

/** The label of a response that no route matched. */
export const UNMATCHED = 'unmatched';

/** The label of a route whose mount path is one too many. */
const OTHER = 'other';

/**
 * So many mount paths of one route have labels. A route has one, or a few; more are made by clients, where an expression or a
 * parameter leaves open what is matched.
 */
const MOUNTS_AT_MOST = 20;

/**
 * The whole Express pattern of the route that answers, those of the routers above it included; behind `app.use(path)` that path;
 * or `unmatched`. Where the routers cannot be looked through, the pattern of the route alone.
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

/** A part of Express's router, of version 4 and 5 alike. */
interface Layer {
  readonly route?: unknown;
  readonly handle?: unknown;
  /** What the last `match` took of the path, and its parameters, where it answers with no more than `true`. */
  readonly path?: unknown;
  readonly params?: unknown;
  match(path: string): unknown;
}

/** What a layer took of a path. */
interface Taken {
  readonly path: string;
  readonly params: object;
  /** Newer routers say it. */
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

/** Mount patterns by the route that they lead to; of `app.use(path)`, which has none, by the app. */
const knownMounts = new WeakMap<object, Map<string, readonly string[]>>();

/**
 * The pattern of what was matched above the route; `undefined` where that cannot be seen, `OTHER` for one too many. One that is
 * known is found without asking the routers; where two fit, it is the one that was met first.
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
    // A router of another make, or a path that cannot be decoded: the pattern of the route alone is no lie.
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

/** Of an app, with the mount path of each app above it in front. */
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
    // An app that is mounted in a router has a longer path than its own.
    above = patternWithin(parent, outer, undefined) ?? mountpath;
  }
  const { _router: four } = app as { readonly _router?: unknown };
  // Reading `router` throws in Express 4.
  const router = four ?? (app as { readonly router?: unknown }).router;
  const below = rest === '' ? '' : patternIn(router, rest, route);
  return below === undefined ? undefined : above + below;
}

/** Looks for the layers that took `rest`, and lead to `route` where there is one. */
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

/** No client sends this, and no expression of a parameter is written for it. */
const PROBE = 'lastchunk-probe';

/**
 * What a layer took, with the names of its parameters: a segment is one if the layer takes another word in its place too, or, of
 * a parameter with an expression of its own, if it is the value of one.
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
  // As it was: the layer remembers what it took last.
  take(layer, path);
  const named = segments.map((segment, at) => {
    const byValue = names.get(decoded(segment));
    const name = probed[at] ?? (probed.includes(byValue) ? undefined : byValue);
    if (name !== undefined) return `:${name}`;
    return isAnyCase ? segment.toLowerCase() : segment;
  });
  // A parameter may have taken several segments: how many is up to the client.
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
    // As Express would have refused it.
    return segment;
  }
}

function layersOf(router: unknown): readonly Layer[] {
  if (typeof router !== 'function' && !isObject(router)) return [];
  const { stack } = router as { readonly stack?: unknown };
  if (!Array.isArray(stack)) return [];
  return stack.filter((layer): layer is Layer => isObject(layer) && 'match' in layer);
}
