/** What must hold in every combination: the same three answers, told alike by rows, metrics and spans. */
import type { ReceivedSpan } from '../support/otlp.ts';
import { parseScrape } from '../support/scrape.ts';

/** What the program prints. */
export interface Report {
  readonly seen: string;
  readonly stopStatus: number;
  readonly scraped: string;
  readonly rows: readonly unknown[];
  readonly versions: Readonly<Record<string, string>>;
  readonly spans?: readonly ReceivedSpan[];
}

const ANSWERS = [
  { id: '1-completed', content: 'one two', outcome: 'completed', complete: true },
  { id: '2-left', content: 'one two', outcome: 'disconnected', complete: true },
  { id: '3-stopped', content: 'one', outcome: 'stopped', complete: false },
];
const ROUTE = { route: '/chat/:id' };
const SERVER = 2;
const ERROR = 2;

/** Everything that does not hold; empty when all is well. */
export function judge(report: Report, spans: readonly ReceivedSpan[]): readonly string[] {
  return [...judgeAnswers(report), ...judgeMetrics(report.scraped), ...judgeSpans(spans)];
}

function judgeAnswers({ seen, stopStatus, rows }: Report): readonly string[] {
  const wanted = ANSWERS.map(({ id, ...rest }) => ({ conversation_id: id, ...rest }));
  return [
    ...differs('the client saw', seen.endsWith('data: [DONE]\n\n'), true),
    ...differs('stopHandler()', stopStatus, 200),
    ...differs('rows', rows, wanted),
  ];
}

function judgeMetrics(text: string): readonly string[] {
  const scrape = parseScrape(text);
  const found = [
    scrape.sum('lastchunk_saves_expected_total', ROUTE),
    scrape.sum('lastchunk_saves_total', { ...ROUTE, result: 'saved' }),
    scrape.sum('lastchunk_saves_total'),
    scrape.sum('lastchunk_saves_pending'),
    ...ANSWERS.map(({ outcome }) =>
      scrape.sum('lastchunk_streams_ended_total', { ...ROUTE, outcome, guarded: 'true' }),
    ),
  ];
  return differs('metrics', found, [3, 3, 3, 0, 1, 1, 1]);
}

function judgeSpans(spans: readonly ReceivedSpan[]): readonly string[] {
  const streams = spans.filter(({ name }) => name === 'stream /chat/:id');
  const outcomes = streams
    .map(({ attributes }) => String(attributes['lastchunk.outcome']))
    .toSorted();
  const saves = spans.filter(({ name }) => name === 'save');
  const orphans = saves.filter(
    ({ parentSpanId }) => !streams.some(({ spanId }) => spanId === parentSpanId),
  );
  const requests = streams.map(({ traceId }) =>
    spans.find((span) => span.traceId === traceId && span.kind === SERVER),
  );
  const annotated = requests.map((span) => span?.attributes['lastchunk.outcome']).filter(Boolean);
  return [
    ...differs('spans of streams', outcomes, ['completed', 'disconnected', 'stopped']),
    ...differs('spans of saves', saves.length, 3),
    ...differs('saves without their stream', orphans.length, 0),
    ...differs('requests of streams', requests.filter(Boolean).length, 3),
    ...differs('requests whose client left', annotated, ['disconnected']),
    ...differs('spans with an error', spans.filter(({ status }) => status === ERROR).length, 0),
  ];
}

function differs(what: string, found: unknown, wanted: unknown): readonly string[] {
  const [is, should] = [JSON.stringify(found), JSON.stringify(wanted)];
  return is === should ? [] : [`${what}: ${is}, not ${should}`];
}
