/**
 * Determines what a request to the status wants: a runbook by path and query, else by `Accept` the page, its data, or events with changes.
 */
import type { RoutedRequest } from '../stream/response/exchange.ts';

/** What the request wants. */
export type Requested =
  | { readonly kind: 'page' | 'json' | 'events' }
  /** A page of docs/runbooks; it may not exist. */
  | { readonly kind: 'runbook'; readonly name: string };

/** The media types of the status, in the order of preference. */
const OFFERS = [
  { kind: 'page', type: 'text/html' },
  { kind: 'json', type: 'application/json' },
  { kind: 'events', type: 'text/event-stream' },
] as const;

/**
 * `?runbook=NAME` works wherever the page is mounted; `lastchunk rules --runbooks` makes links to `/NAME.md` below it. If `Accept` allows
 * none of the media types, the result is the page.
 */
export function requestedBy(req: RoutedRequest): Requested {
  const [path = '', query = ''] = (req.url ?? '').split('?', 2);
  const named = new URLSearchParams(query).get('runbook') ?? /\/([^/]+)\.md$/.exec(path)?.[1];
  if (named !== undefined) return { kind: 'runbook', name: named };
  const ranges = rangesOf(req.headers.accept ?? '*/*');
  let best: { kind: 'page' | 'json' | 'events'; rank: number } = { kind: 'page', rank: 0 };
  for (const { kind, type } of OFFERS) {
    const rank = rankOf(type, ranges);
    if (rank > best.rank) best = { kind, rank };
  }
  return { kind: best.kind };
}

/** Whether the request is for a path below the page, from which a link back must lead one level up. */
export function isBelowPage(req: RoutedRequest): boolean {
  return /\.md(?:\?|$)/.test(req.url ?? '');
}

interface Range {
  readonly type: string;
  readonly q: number;
}

/** RFC 9110, section 12.5.1; parameters other than `q` are left out. */
function rangesOf(accept: string): Range[] {
  return accept.split(',').map((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const weight = parameters.find((one) => one.startsWith('q='));
    const q = weight === undefined ? 1 : Number(weight.slice(2));
    return { type, q: q >= 0 && q <= 1 ? q : 0 };
  });
}

/**
 * The rank of a media type by the most specific range that matches it: first the weight of the range, then how specific it is. 0: not
 * acceptable.
 */
function rankOf(type: string, ranges: readonly Range[]): number {
  const [family] = type.split('/');
  for (const [index, pattern] of [type, `${family}/*`, '*/*'].entries()) {
    const range = ranges.find((one) => one.type === pattern);
    if (range !== undefined) return range.q === 0 ? 0 : range.q * 10 + (3 - index);
  }
  return 0;
}
