/** Keeps results in `results.json`, the latest of each part, and shows them in the README. */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { PARTS } from './parts/index.ts';
import { markdown } from './report.ts';
import { merge, readResults, type PartResult } from './results.ts';

const RESULTS = fileURLToPath(new URL('./results.json', import.meta.url));
const README = fileURLToPath(new URL('./README.md', import.meta.url));

const BEGIN = '<!-- results:begin -->';
const END = '<!-- results:end -->';

/** Both files, formatted like the rest of the tree. */
export async function publish(results: readonly PartResult[]): Promise<void> {
  const order = PARTS.map(({ name }) => name);
  const all = merge(readResults(RESULTS), results, order);
  await write(RESULTS, JSON.stringify(all));
  const [before, rest] = split(readFileSync(README, 'utf8'), BEGIN);
  const [, after] = split(rest, END);
  await write(README, `${before}${BEGIN}\n\n${markdown(all)}\n\n${END}${after}`);
}

async function write(path: string, text: string): Promise<void> {
  writeFileSync(path, await format(text, { ...(await resolveConfig(path)), filepath: path }));
}

function split(text: string, marker: string): readonly [string, string] {
  const at = text.indexOf(marker);
  if (at === -1) throw new Error(`the README has lost its ${marker}`);
  return [text.slice(0, at), text.slice(at + marker.length)];
}
