/**
 * The picture of the README: the database goes away while clients read, and what becomes of their answers. The same handler
 * answers on two routes, one of them guarded; what a client saw is held against what the database has in the end.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ANSWERS, ROUTES, type Route } from '../../demo/agreed.ts';
import { visit } from '../../demo/client.ts';
import { startLive, type Live } from '../../test/slo/dashboards/live.ts';

const HEALTHY_MS = 40_000;
const AWAY_MS = 30_000;
const BACK_MS = 30_000;
/** Between two visitors of a route. */
const PAUSE_MS = 1_000;
/** More than any answer takes, and the replay after it. */
const SETTLE_MS = 15_000;
/** What a bar counts. */
const BAR_SECONDS = 2;
/** Saved by so much after its end, an answer was on disk meanwhile. */
const LATE_SECONDS = 2;

const VERDICTS = ['in the database', 'on disk, then in the database', 'lost'] as const;
type Verdict = (typeof VERDICTS)[number];

/** A visitor's answer. */
interface Seen {
  readonly route: Route;
  readonly id: string;
  readonly text: string;
  /** When the visitor had the last of it, in seconds since 1970. */
  readonly at: number;
}

/** A range of time, and for each route the counts of its verdicts, as Prometheus would answer. */
export interface Outage {
  readonly from: number;
  readonly to: number;
  readonly series: Readonly<Record<Route, readonly Series[]>>;
}
interface Series {
  readonly metric: { readonly verdict: Verdict };
  readonly values: readonly (readonly [seconds: number, text: string])[];
}

/** What page.jsx draws. */
export interface Picture {
  /** Of the file. */
  readonly name: string;
  readonly dashboard: { readonly panels: readonly unknown[] };
  /** What Prometheus says to the queries of each panel, by its id. */
  readonly answers: Readonly<Record<string, unknown>>;
  /** Both in milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly width: number;
}

/** Both routes side by side, as two panels. */
export function pictureOf({ from, to, series }: Outage): Picture {
  const panels = ROUTES.map((route, index) => ({
    id: index + 1,
    type: 'timeseries',
    title: TITLES[route],
    gridPos: { x: 12 * index, y: 0, w: 12, h: 7 },
    options: { legend: { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] } },
    fieldConfig: {
      defaults: { unit: 'suffix:answers/s', min: 0, custom: BARS },
      overrides: Object.entries(COLOURS).map(([name, fixedColor]) => ({
        matcher: { id: 'byName', options: name },
        properties: [{ id: 'color', value: { mode: 'fixed', fixedColor } }],
      })),
    },
  }));
  const answers = Object.fromEntries(
    ROUTES.map((route, index) => [
      index + 1,
      [{ refId: 'A', legend: '{{verdict}}', result: series[route] }],
    ]),
  );
  return { name: 'outage', dashboard: { panels }, answers, from, to, width: 1_280 };
}

const TITLES = {
  naive: 'Without lastchunk: the database is away for 30 s',
  guarded: 'With lastchunk: the same handler, behind keep.guard()',
} as const;
const COLOURS = {
  'in the database': 'green',
  'on disk, then in the database': 'orange',
  lost: 'red',
} as const satisfies Readonly<Record<Verdict, string>>;
const BARS = {
  drawStyle: 'bars',
  fillOpacity: 80,
  lineWidth: 0,
  axisSoftMax: 2,
  stacking: { mode: 'normal', group: 'A' },
};

/** Runs it and judges each answer of which a client saw text. */
export async function observeOutage(): Promise<Outage> {
  // Only the visitors from here count.
  const live = await startLive({ visitsPerSecond: 0.05 });
  try {
    await sleep(5_000);
    const from = Date.now();
    const to = from + HEALTHY_MS + AWAY_MS + BACK_MS;
    const visits = comeUntil(live, to);
    await sleep(HEALTHY_MS);
    await live.database.stop();
    await sleep(AWAY_MS);
    await live.database.start();
    const seen = (await visits).filter(({ text }) => text !== '');
    await sleep(SETTLE_MS);
    const judged = await judge(live, seen);
    const bars = (route: Route): readonly Series[] => seriesOf(route, judged, from / 1_000);
    return { from, to, series: { naive: bars('naive'), guarded: bars('guarded') } };
  } finally {
    await live.close();
  }
}

async function comeUntil({ app }: Live, to: number): Promise<readonly Seen[]> {
  const visits: Promise<Seen>[] = [];
  for (let number = 1; Date.now() < to; number += 1) {
    for (const route of ROUTES) visits.push(come(app, route, number));
    await sleep(PAUSE_MS);
  }
  return Promise.all(visits);
}

async function come(app: string, route: Route, number: number): Promise<Seen> {
  const id = `outage-${route}-${number}`;
  // The first twenty stories but for number 0 are told to their end: only the database is to fail.
  const prompt = `Tell me story ${1 + (number % 19)}.`;
  const url = new URL(`/${route}/${id}`, app);
  const { text } = await visit({ url, prompt, patienceMs: 45_000 });
  return { route, id, text, at: Date.now() / 1_000 };
}

async function judge({ database }: Live, seen: readonly Seen[]) {
  const client = new pg.Client({ connectionString: database.connectionString });
  await client.connect();
  const stored = new Map<string, string[]>();
  for (const route of ROUTES) {
    const { rows } = await client.query<{ id: string; text: string }>(ANSWERS[route]);
    for (const { id, text } of rows) stored.set(id, [...(stored.get(id) ?? []), text]);
  }
  const { rows: late } = await client.query<{ id: string }>(
    `SELECT conversation_id AS id FROM lastchunk_messages
     WHERE saved_at > ended_at + make_interval(secs => $1)`,
    [LATE_SECONDS],
  );
  await client.end();
  const waited = new Set(late.map(({ id }) => id));
  return seen.map((one): Seen & { readonly verdict: Verdict } => {
    const kept = stored.get(one.id)?.some((text) => text.startsWith(one.text)) === true;
    if (!kept) return { ...one, verdict: 'lost' };
    const waits = one.route === 'guarded' && waited.has(one.id);
    return { ...one, verdict: waits ? 'on disk, then in the database' : 'in the database' };
  });
}

function seriesOf(
  route: Route,
  judged: readonly (Seen & { readonly verdict: Verdict })[],
  from: number,
): readonly Series[] {
  const bars = Math.floor((HEALTHY_MS + AWAY_MS + BACK_MS) / 1_000 / BAR_SECONDS);
  return VERDICTS.map((verdict) => ({
    metric: { verdict },
    values: Array.from({ length: bars }, (_, bar) => {
      const at = from + bar * BAR_SECONDS;
      const many = judged.filter(
        (one) =>
          one.route === route &&
          one.verdict === verdict &&
          one.at >= at &&
          one.at < at + BAR_SECONDS,
      ).length;
      return [at, String(many / BAR_SECONDS)] as const;
    }),
  }));
}
