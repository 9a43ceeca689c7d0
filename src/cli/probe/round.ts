/** One round of a probe: one stream for each exit mode, all at the same time; then the result of each. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { maskCredentials } from '../../core/error-words.ts';
import { type History, ID } from './history.ts';
import { type Asking, EXIT_MODES, type ExitMode, visit, type Visit } from './visit.ts';
import { type Ended, objection, type Stored } from './witness.ts';

/**
 * `kept`: a row has what was received. `late`: the same, but not yet at the first query after the client had received the last frame.
 * `lost`: there was no row in time, or it has only a part. `wrong`: the row has something else. `failed`: nothing was received, or the
 * history could not be queried.
 */
export const RESULTS = ['kept', 'late', 'lost', 'wrong', 'failed'] as const;
export type Result = (typeof RESULTS)[number];

/** The result of one stream. It contains no text of the answer. */
export interface Finding {
  readonly exitMode: ExitMode;
  readonly result: Result;
  /** The id of the visit. */
  readonly id: string;
  readonly messageId: string | undefined;
  /** Number of characters that were received. */
  readonly seenChars: number;
  /** Number of characters of it with which the best stored text begins. */
  readonly keptChars: number;
  /** What is wrong, or why the stream could not be judged. */
  readonly reason: string | undefined;
}

/** The settings that are the same for every round. */
export interface Plan {
  readonly asking: Omit<Asking, 'exitMode'>;
  readonly exitModes: readonly ExitMode[];
  readonly history: History;
  /** How long a message may take to be kept. */
  readonly waitMs: number;
}

/** Never rejects. */
export function probeRound(plan: Plan): Promise<Finding[]> {
  return Promise.all(plan.exitModes.map((exitMode) => probeOnce(plan, exitMode)));
}

async function probeOnce(plan: Plan, exitMode: ExitMode): Promise<Finding> {
  const id = `probe-${randomUUID()}`;
  const visited = await visit({ ...fill(plan.asking, id), exitMode });
  const about = { exitMode, id, messageId: visited.messageId };
  if (visited.seen.texts.length === 0) {
    const reason = visited.failure ?? 'read no text in the answer';
    return { ...about, result: 'failed', seenChars: 0, keptChars: 0, reason };
  }
  return { ...about, ...(await judge(plan, visited, exitMode, id)) };
}

type Verdict = Pick<Finding, 'result' | 'seenChars' | 'keptChars' | 'reason'>;

/** Queries the history until the row is found or the time is over. */
async function judge(plan: Plan, visited: Visit, exitMode: ExitMode, id: string): Promise<Verdict> {
  const { finished, messageId } = visited;
  const givesUpAt = Date.now() + plan.waitMs;
  for (let asked = 0; ; asked += 1) {
    let verdict: Verdict;
    try {
      verdict = compare(visited, exitMode, await plan.history.rows({ id, messageId }));
      // A row that is not there at once is late only if the client received the end of the answer.
      const isLate = verdict.result === 'kept' && finished && asked > 0;
      if (verdict.result === 'kept') return isLate ? { ...verdict, result: 'late' } : verdict;
    } catch (error) {
      const reason = `could not ask the history: ${reasonOf(error)}`;
      verdict = { result: 'failed', seenChars: 0, keptChars: 0, reason };
    }
    if (Date.now() >= givesUpAt) return verdict;
    await sleep(Math.min(EVERY_MS, Math.max(0, givesUpAt - Date.now())));
  }
}

/** The result of comparing these rows with what was received. */
function compare(visited: Visit, exitMode: ExitMode, rows: readonly Stored[]): Verdict {
  const { seen, isGuarded } = visited;
  const ended = endOf(visited, exitMode);
  const shares = rows.flatMap((row) =>
    seen.texts.map((text) => ({ row, text, keptChars: sharedChars(text, row.text) })),
  );
  // A text that shares only a few characters is another text of the history.
  const own = shares.filter(({ row, keptChars }) => row.isRow === true || keptChars >= MIN_SHARED);
  const [best] = own.toSorted((a, b) => b.keptChars - a.keptChars);
  const { text = seen.texts[0] ?? '', keptChars = 0 } = best ?? {};
  const verdict = (result: Result, reason?: string): Verdict => ({
    result,
    seenChars: text.length,
    keptChars,
    reason,
  });
  if (rows.some((row) => objection(seen, row, ended) === undefined)) {
    const count = new Set(own.filter((one) => one.keptChars > 0).map(({ row }) => row)).size;
    return count > 1 ? verdict('wrong', `${count} rows of one answer`) : verdict('kept');
  }
  if (best !== undefined && !isPart(best)) {
    return verdict('wrong', objection(seen, best.row, ended));
  }
  return verdict('lost', best === undefined && !isGuarded ? UNGUARDED : undefined);
}

/** Whether the row has only the beginning of the received text. */
function isPart({ row, text, keptChars }: { row: Stored; text: string; keptChars: number }) {
  const storedChars = row.text.trim().length;
  return storedChars > 0 && keptChars >= storedChars && keptChars < text.trim().length;
}

const UNGUARDED =
  'no X-Stream-Id: this route is not guarded, or its answer is not taken for a stream';

function endOf({ isWhole, finished, failure }: Visit, exitMode: ExitMode): Ended {
  if (isWhole) return 'whole';
  if (exitMode === 'complete' && failure !== undefined) return 'broken';
  return finished ? 'finished' : 'left';
}

/** Number of characters that the received and the stored text have in common at their beginning; leading white space is ignored. */
function sharedChars(seen: string, stored: string): number {
  const [wanted, kept] = [seen.trimStart(), stored.trimStart()];
  let length = kept.startsWith(wanted) ? wanted.length : 0;
  while (length < Math.min(kept.length, wanted.length) && wanted[length] === kept[length]) {
    length += 1;
  }
  return length;
}

/** Fills the id into URL, headers and body. */
function fill(asking: Omit<Asking, 'exitMode'>, id: string): Omit<Asking, 'exitMode'> {
  const { url, headers, body } = asking;
  const filled = Object.entries(headers).map(([name, value]) => [name, value.replaceAll(ID, id)]);
  return {
    ...asking,
    url: url.replaceAll(ID, id),
    headers: Object.fromEntries(filled) as Record<string, string>,
    body: body?.replaceAll(ID, id),
  };
}

/** The error's code, else its message with credentials masked: the message of a database may quote the query. */
function reasonOf(error: unknown): string {
  const { code, message, cause } = error as Partial<NodeJS.ErrnoException>;
  if (code !== undefined) return code;
  const inner = (cause as NodeJS.ErrnoException | undefined)?.code;
  return inner ?? maskCredentials(message ?? String(error));
}

const EVERY_MS = 250;
/** Number of characters that a text outside of a record with `content` must share to count as the answer. */
const MIN_SHARED = 4;

/** True when nothing was lost, late, wrong or left unjudged. */
export function allKept(findings: readonly Finding[]): boolean {
  return findings.every(({ result }) => result === 'kept');
}

/** The report as text: counts for each exit mode, and a line for each stream that was not kept. Ids and numbers only. */
export function report(findings: readonly Finding[]): string {
  const modes = EXIT_MODES.filter((mode) => findings.some(({ exitMode }) => exitMode === mode));
  const rows = modes.map((mode) => {
    const own = findings.filter(({ exitMode }) => exitMode === mode);
    const counts = RESULTS.map((wanted) => own.filter(({ result }) => result === wanted).length);
    return [mode, ...[own.length, ...counts].map(String)];
  });
  const heads = ['WAY', 'STREAMS', ...RESULTS.map((result) => result.toUpperCase())];
  const table = [heads, ...rows].map(([first = '', ...cells]) =>
    [first.padEnd(14), ...cells.map((cell) => cell.padStart(8))].join('').trimEnd(),
  );
  return `${[...table, ...findings.flatMap(detail)].join('\n')}\n`;
}

function detail(finding: Finding): string[] {
  const { exitMode, result, id, messageId, seenChars, keptChars, reason } = finding;
  if (result === 'kept') return [];
  const counts = `${seenChars} characters seen, ${keptChars} of them kept`;
  const isLost = result === 'lost' || result === 'late';
  const what = isLost ? [counts, reason ?? []].flat().join('; ') : reason;
  const of = messageId === undefined ? id : `${id}, message ${messageId}`;
  return [escaped(`${result}: ${exitMode}: ${what} (${of})`)];
}

/** Escapes control characters in what a server sent, so that they cannot move the cursor of a terminal. */
function escaped(line: string): string {
  return line.replace(/[\p{Cc}\p{Cf}]/gu, (unit) => {
    const code = unit.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}
