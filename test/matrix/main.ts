/**
 * `npm run test:matrix`: the packed package with every combination of versions that it is promised to work with: an app, its
 * SDK and a PostgreSQL, all real. Prints a table and compares it with docs/compatibility.md; exits with 0 only if every
 * combination works and the page says the same, 2 for wrong arguments.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../support/imports.ts';
import { startPostgres } from '../support/postgres.ts';
import { readArgs, USAGE, type Args } from './args.ts';
import { installNode, installSet, packLastchunk } from './install.ts';
import { type Finding, type Job, JOBS, stillRefused } from './jobs.ts';

/** One line of the table, with what was really there. */
interface Result extends Finding {
  readonly versions: Readonly<Record<string, string>>;
}

const started = Date.now();
const args = argsOrExit();
const chosen = JOBS.filter(({ words }) => args.only.every((word) => words.includes(word)));
say(`${chosen.filter(({ not }) => not === undefined).length} combinations`);

const [server, tarball] = await Promise.all([startPostgres(), packLastchunk()]);
say('packed');
const folders = inTurn(
  chosen.map(({ packages }) => packages.join(' ')),
  (key) => installSet(tarball, key.split(' ')),
);
const nodes = inTurn(
  chosen.flatMap(({ words }) => words.filter((word) => /^node\d/.test(word))),
  (word) => installNode(word.slice('node'.length)),
);
const results = await inTwos(chosen, runJob);
await server.remove();

const failed = results.filter(({ ok }) => ok === false);
if (args.json !== undefined) await writeFile(args.json, `${JSON.stringify(results, null, 2)}\n`);
process.stdout.write(`\n${results.map(line).join('\n')}\n\n`);
for (const { what, note } of failed) process.stdout.write(`FAILED: ${what}: ${note}\n`);
const differs = args.only.length === 0 && (await differsFromPage());
const passed = results.filter(({ ok }) => ok === true).length;
process.stdout.write(`${Math.round((Date.now() - started) / 1000)} s\n`);
process.stdout.write(`${passed} passed, ${failed.length} failed\n`);
process.exitCode = failed.length === 0 && passed > 0 && !differs ? 0 : 1;

async function runJob({ what, not, packages, run }: Job): Promise<Result> {
  try {
    const folder = await there(folders, packages.join(' '));
    const { versions, wrong } =
      not === undefined
        ? await run({
            folder,
            newDatabase: () => server.newDatabase(),
            node: (major) => there(nodes, `node${major}`),
          })
        : { versions: {}, wrong: await stillRefused(folder, not) };
    if (not !== undefined && wrong.length === 0) return { what, versions, ok: null, note: not.why };
    say(`${wrong.length === 0 ? 'ok' : 'FAILED'}: ${what}`);
    return { what, versions, ok: wrong.length === 0, note: wrong.join('; ') };
  } catch (error) {
    const note = error instanceof Error ? error.message : String(error);
    say(`FAILED: ${what}`);
    return { what, versions: {}, ok: false, note: note.slice(0, 2000) };
  }
}

/** The page must be what this run would make of it. */
async function differsFromPage(): Promise<boolean> {
  // Its tables load every client of a model that is tested, which takes a while.
  const { compatibilityPage } = await import('./page.ts');
  const page = await readFile(join(ROOT, 'docs/compatibility.md'), 'utf8');
  const differs = page !== compatibilityPage(results);
  if (differs) process.stdout.write('FAILED: docs/compatibility.md says something else\n');
  return differs;
}

/** Each key once, one after the other, in the background of what does not need them yet. */
function inTurn(
  keys: readonly string[],
  make: (key: string) => Promise<string>,
): ReadonlyMap<string, Promise<string>> {
  const made = new Map<string, Promise<string>>();
  let before: Promise<unknown> = Promise.resolve();
  for (const key of new Set(keys)) {
    const one = before.then(() => make(key));
    made.set(key, one);
    // Whoever asks for it hears of a failure; the next is made all the same.
    before = one.catch(() => undefined);
  }
  return made;
}

function there(made: ReadonlyMap<string, Promise<string>>, key: string): Promise<string> {
  return made.get(key) ?? Promise.reject(new Error(`nobody asked for ${key}`));
}

/** All of them, two at a time, results in their order. */
async function inTwos<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const found: R[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < all.length; at = next++) {
      const one = all[at];
      if (one !== undefined) found[at] = await work(one);
    }
  };
  await Promise.all([worker(), worker()]);
  return found;
}

function line({ what, ok, versions, note }: Result): string {
  const mark = ok === null ? '-' : ok ? 'ok' : 'FAILED';
  const node = versions['node'] === undefined ? '' : `  (Node ${versions['node']})`;
  return `${mark.padEnd(7)} ${what}${ok === null ? `: ${note}` : node}`;
}

function say(what: string): void {
  const seconds = Math.round((Date.now() - started) / 1000);
  process.stderr.write(`${String(seconds).padStart(4)} s  ${what}\n`);
}

function argsOrExit(): Args {
  try {
    return readArgs(process.argv.slice(2), new Set(JOBS.flatMap(({ words }) => words)));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}
