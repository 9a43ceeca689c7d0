/** One round of a probe: a stream for each way of leaving, all at the same time, and what was kept of each. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type History, ID } from './probe-history.ts';
import { type Asking, visit, type Visit, type Way } from './probe-visit.ts';

/**
 * `kept`: a stored text begins with what was seen. `late`: it does, but did not when a client that had the last frame
 * asked at once. `lost`: it did not in time. `failed`: there was nothing to judge.
 */
export const RESULTS = ['kept', 'late', 'lost', 'failed'] as const;
export type Result = (typeof RESULTS)[number];

/** What became of one stream. No text is in it. */
export interface Finding {
  readonly way: Way;
  readonly result: Result;
  /** What the visit was known by. */
  readonly id: string;
  readonly messageId: string | undefined;
  /** Characters that were seen. */
  readonly seenChars: number;
  /** Of the longest stored text that a part of it begins with. */
  readonly keptChars: number;
  /** Why it failed. */
  readonly reason: string | undefined;
}

/** What does not change from round to round. */
export interface Plan {
  readonly asking: Omit<Asking, 'way'>;
  readonly ways: readonly Way[];
  readonly history: History;
  /** How long a message may take to be kept. */
  readonly waitMs: number;
}

/** Never rejects. */
export function probeRound(plan: Plan): Promise<Finding[]> {
  return Promise.all(plan.ways.map((way) => probeOnce(plan, way)));
}

async function probeOnce(plan: Plan, way: Way): Promise<Finding> {
  const id = `probe-${randomUUID()}`;
  const visited = await visit({ ...fill(plan.asking, id), way });
  const { seen, messageId } = visited;
  const about = { way, id, messageId, seenChars: seen.length };
  if (seen === '') {
    const reason = visited.failure ?? 'read no text in the answer';
    return { ...about, result: 'failed', keptChars: 0, reason };
  }
  return { ...about, ...(await judge(plan, visited, id)) };
}

type Verdict = Pick<Finding, 'result' | 'keptChars' | 'reason'>;

/** Asks until it is kept, or its time is over. */
async function judge(
  plan: Plan,
  { seen, finished, messageId }: Visit,
  id: string,
): Promise<Verdict> {
  const givesUpAt = Date.now() + plan.waitMs;
  let keptChars = 0;
  for (let asked = 0; ; asked += 1) {
    let reason: string | undefined;
    try {
      const texts = await plan.history.texts({ id, messageId });
      keptChars = Math.max(keptChars, ...texts.map((text) => sharedChars(seen, text)));
      // Only a client that was told that the answer is over may expect it to be there.
      const result = finished && asked > 0 ? 'late' : 'kept';
      if (keptChars === seen.trim().length) return { result, keptChars, reason: undefined };
    } catch (error) {
      reason = `could not ask the history: ${reasonOf(error)}`;
    }
    if (Date.now() >= givesUpAt) {
      return { result: reason === undefined ? 'lost' : 'failed', keptChars, reason };
    }
    await sleep(Math.min(EVERY_MS, Math.max(0, givesUpAt - Date.now())));
  }
}

/** How much of what was seen a stored text begins with; white space around it is the app's taste. */
function sharedChars(seen: string, text: string): number {
  const [wanted, kept] = [seen.trim(), text.trimStart()];
  if (kept.startsWith(wanted)) return wanted.length;
  let length = 0;
  while (length < kept.length && wanted[length] === kept[length]) length += 1;
  return length;
}

/** Puts the id into everything that is sent. */
function fill(asking: Omit<Asking, 'way'>, id: string): Omit<Asking, 'way'> {
  const { url, headers, body } = asking;
  const filled = Object.entries(headers).map(([name, value]) => [name, value.replaceAll(ID, id)]);
  return {
    ...asking,
    url: url.replaceAll(ID, id),
    headers: Object.fromEntries(filled) as Record<string, string>,
    body: body?.replaceAll(ID, id),
  };
}

/** Codes and our own words; a database's message may quote what it was asked. */
function reasonOf(error: unknown): string {
  const { code, message, cause } = error as Partial<NodeJS.ErrnoException>;
  if (code !== undefined) return code;
  const inner = (cause as NodeJS.ErrnoException | undefined)?.code;
  return inner ?? message ?? String(error);
}

const EVERY_MS = 250;
