/** The two Prometheus clients, injected with a registry of the app's: one scrape must read like the other. */

/** What `program/scrape.mjs` prints: a scrape for each client. */
export interface ScrapeReport {
  readonly scrapes: Readonly<Record<string, string>>;
  readonly versions: Readonly<Record<string, string>>;
}

/** What both are made of. */
export const SCRAPE_PACKAGES = [
  '@opentelemetry/api@1.9.1',
  'express@5.3.0',
  'prom-client@15.1.3',
  '@prometheus-io/client@0.16.1',
];

/** What the page and the table call it. */
export const SCRAPE_TITLE = 'prom-client and @prometheus-io/client, injected, give the same scrape';

/** Everything that does not hold; empty when all is well. */
export function judgeScrapes({ scrapes }: ScrapeReport): readonly string[] {
  const [one = [], other = [], ...more] = Object.values(scrapes).map(linesOf);
  if (more.length > 0 || one.length < 100) return ['two scrapes were expected'];
  const counted = one.some((line) => /^lastchunk_saves_total\{.*result="saved"\} 1$/.test(line));
  return [
    ...(counted ? [] : ['the save was not counted']),
    ...one.filter((line) => !other.includes(line)).map((line) => `only the first: ${line}`),
    ...other.filter((line) => !one.includes(line)).map((line) => `only the second: ${line}`),
  ].slice(0, 5);
}

/** The lines in their order of the alphabet; what is a time is the same in no two runs. */
function linesOf(scrape: string): readonly string[] {
  const lines = scrape.split('\n').filter((line) => line !== '');
  return lines
    .map((line) => (/^\w+_seconds/.test(line) ? line.replace(/ \S+$/, '') : line))
    .toSorted();
}
