/** What must hold beside every tool: bytes and rows as ever, lastchunk's spans where the tool's are, and no noise among its errors. */
import type { ToolSpan } from './collector.ts';
import { FIRST, REST } from './model.ts';
import type { Tool } from './tools.ts';

/** What clients got, by conversation. */
export type Seen = Readonly<Record<'completed' | 'left' | 'kept' | 'failed', string>>;

/** All that is known of a run. */
export interface ToolReport {
  readonly seen: Seen;
  readonly rows: readonly unknown[];
  readonly spans: readonly ToolSpan[];
  readonly errors: readonly string[];
  readonly code: number | null;
}

const ROWS = [
  { id: 'completed', content: 'one two', outcome: 'completed', complete: true },
  { id: 'failed', content: 'one', outcome: 'failed', complete: false },
  { id: 'kept', content: 'one', outcome: 'disconnected', complete: false },
  { id: 'left', content: 'one two', outcome: 'disconnected', complete: true },
];

/** Everything that does not hold; empty when all is well. */
export function judgeTool(tool: Tool, report: ToolReport): readonly string[] {
  const { seen, rows, spans, errors, code } = report;
  return [
    ...differs('exit code', code, 0),
    ...differs('clients saw', seen, {
      completed: FIRST + REST,
      left: FIRST,
      kept: FIRST,
      failed: FIRST,
    }),
    ...differs('rows', rows, ROWS),
    ...differs('errors', errors, tool.reportsErrors ? ['SocketError, TypeError'] : []),
    ...judgeStreams(tool, spans),
    ...judgeFailures(spans),
  ];
}

function judgeStreams(tool: Tool, spans: readonly ToolSpan[]): readonly string[] {
  const streams = streamsIn(spans);
  const told = streams.map(({ attributes }) => [
    attributes['gen_ai.conversation.id'],
    attributes['lastchunk.outcome'],
    attributes['lastchunk.noise.reason'] ?? null,
  ]);
  const noise = { kept: 'own-abort' };
  const wanted = ROWS.map(({ id, outcome }) => [id, outcome, id in noise ? noise.kept : null]);
  const roots = streams.map((stream) => lineOf(stream, spans).at(-1));
  const above = roots.map((root) => (root?.parentSpanId === '' ? root.name : 'nothing'));
  const requests = streams.map(({ name }) => name.replace('stream', 'POST'));
  const saves = spans.filter(({ name }) => name === 'save');
  const parents = saves.map(({ parentSpanId }) => parentSpanId).toSorted();
  const ids = streams.map(({ spanId }) => spanId).toSorted();
  return [
    ...differs('streams', told, wanted),
    ...differs('roots', above, tool.tracesRequests ? requests : streams.map(({ name }) => name)),
    ...differs('parents of saves', parents, tool.exports === 'all' ? ids : []),
  ];
}

/** Of requests and streams only that is an error which belongs to the answer that failed. A save may be tried again. */
function judgeFailures(spans: readonly ToolSpan[]): readonly string[] {
  const streams = streamsIn(spans);
  const wrong = spans.filter((span) => {
    const stream = streams.find(({ traceId }) => traceId === span.traceId);
    const isOfSave = lineOf(span, spans).some(({ name }) => name === 'save');
    return span.failed && stream?.failed === false && !isOfSave;
  });
  const failed = streams.filter((stream) => stream.failed);
  const outcomes = failed.map(({ attributes }) => attributes['lastchunk.outcome']);
  const names = wrong.map(({ name }) => name);
  return [
    ...differs('failed streams', outcomes, ['failed']),
    ...differs('errors where nothing failed', names, []),
  ];
}

/** By conversation. */
function streamsIn(spans: readonly ToolSpan[]): readonly ToolSpan[] {
  const id = ({ attributes }: ToolSpan): string => String(attributes['gen_ai.conversation.id']);
  return spans
    .filter(({ name }) => name.startsWith('stream '))
    .toSorted((one, other) => id(one).localeCompare(id(other)));
}

/** A span and those above it, as far as they are there, with the root at the end. */
function lineOf(span: ToolSpan, spans: readonly ToolSpan[]): readonly ToolSpan[] {
  const above = spans.find(
    ({ spanId, traceId }) => spanId === span.parentSpanId && traceId === span.traceId,
  );
  return above === undefined ? [span] : [span, ...lineOf(above, spans)];
}

/** `said` is what the doctor prints as JSON, `places` where copies of the API are. */
export function judgeDoctor(said: string, places: readonly string[]): readonly string[] {
  // What our own command prints.
  const { findings } = JSON.parse(said) as {
    readonly findings: readonly { readonly check: string; readonly says: string }[];
  };
  const [finding] = findings.filter(({ check }) => check === 'api-copies');
  const says = finding?.says ?? 'nothing';
  return [
    ...(places.length > 1 ? [] : ['npm has installed one copy only']),
    ...places
      .filter((place) => !says.includes(` in ${place}`))
      .map((place) => `not found: ${place}`),
    ...(says.endsWith(': the reports of lastchunk are dropped') ? [] : [`it says ${says}`]),
  ];
}

function differs(what: string, found: unknown, wanted: unknown): readonly string[] {
  const [is, should] = [JSON.stringify(found), JSON.stringify(wanted)];
  return is === should ? [] : [`${what}: ${is}, not ${should}`];
}
