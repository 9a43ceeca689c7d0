/** What a probe found, for people: counts for each way, and a line for each stream that was not kept. */
import { type Finding, RESULTS } from './probe-round.ts';
import { WAYS } from './probe-visit.ts';

/** True when nothing was lost, late or left unjudged. */
export function allKept(findings: readonly Finding[]): boolean {
  return findings.every(({ result }) => result === 'kept');
}

/** The report, with a line end at its end. Ids and numbers only. */
export function report(findings: readonly Finding[]): string {
  const ways = WAYS.filter((way) => findings.some((finding) => finding.way === way));
  const rows = ways.map((way) => {
    const own = findings.filter((finding) => finding.way === way);
    return [way, String(own.length), ...RESULTS.map((result) => count(own, result))];
  });
  const heads = ['WAY', 'STREAMS', ...RESULTS.map((result) => result.toUpperCase())];
  const table = [heads, ...rows].map(([first = '', ...cells]) =>
    [first.padEnd(14), ...cells.map((cell) => cell.padStart(8))].join('').trimEnd(),
  );
  return `${[...table, ...findings.flatMap(detail)].join('\n')}\n`;
}

function count(findings: readonly Finding[], wanted: string): string {
  return String(findings.filter(({ result }) => result === wanted).length);
}

function detail(finding: Finding): string[] {
  const { way, result, id, messageId, seenChars, keptChars, reason } = finding;
  if (result === 'kept') return [];
  const what = reason ?? `${seenChars} characters seen, ${keptChars} of them kept`;
  const of = messageId === undefined ? id : `${id}, message ${JSON.stringify(messageId)}`;
  return [`${result}: ${way}: ${what} (${of})`];
}
