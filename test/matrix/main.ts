/**
 * `npm run test:matrix`: the packed package with every combination of versions that it is promised to work with: an app, its
 * SDK and a PostgreSQL, all real. Prints a table; exits with 0 only if every combination works, 2 for wrong arguments.
 */
import { writeFile } from 'node:fs/promises';
import { startPostgres } from '../support/postgres.ts';
import { readArgs, USAGE, type Args } from './args.ts';
import { runCell, type Verdict } from './cell.ts';
import {
  allCells,
  type Cell,
  LOWEST,
  NODES,
  packagesOf,
  titleOf,
  whyNot,
  wordsOf,
} from './cells.ts';
import { installNode, installSet, packLastchunk } from './install.ts';
import { checkTypes, COMPILERS, TYPED_PACKAGES } from './types.ts';

/** One line of the table. */
interface Result {
  readonly what: string;
  readonly versions: Readonly<Record<string, string>>;
  /** `null`: it cannot be. */
  readonly ok: boolean | null;
  /** What is wrong, or why it cannot be; else empty. */
  readonly note: string;
}

/** Something to be found out. */
interface Job {
  readonly what: string;
  readonly words: readonly string[];
  /** Its packages, and how to look at them once they are installed. */
  readonly packages: readonly string[];
  /** Why it cannot be. */
  readonly not: string | undefined;
  run(folder: string): Promise<Verdict>;
}

const started = Date.now();
const jobs: readonly Job[] = [...allCells().map(cellJob), lowestJob(), ...COMPILERS.map(typesJob)];
const args = argsOrExit();
const chosen = jobs.filter(({ words }) => args.only.every((word) => words.includes(word)));
say(`${chosen.filter(({ not }) => not === undefined).length} combinations`);

const [server, tarball] = await Promise.all([startPostgres(), packLastchunk()]);
say('packed');
const folders = new Map<string, Promise<string>>();
const nodes = new Map<string, Promise<string>>();
const results = await inTwos(chosen, runJob);
await server.remove();

const failed = results.filter(({ ok }) => ok === false);
if (args.json !== undefined) await writeFile(args.json, `${JSON.stringify(results, null, 2)}\n`);
process.stdout.write(`\n${results.map(line).join('\n')}\n\n`);
for (const { what, note } of failed) process.stdout.write(`FAILED: ${what}: ${note}\n`);
const passed = results.filter(({ ok }) => ok === true).length;
process.stdout.write(`${Math.round((Date.now() - started) / 1000)} s\n`);
process.stdout.write(`${passed} passed, ${failed.length} failed\n`);
process.exitCode = failed.length === 0 && passed > 0 ? 0 : 1;

async function runJob({ what, not, packages, run }: Job): Promise<Result> {
  if (not !== undefined) return { what, versions: {}, ok: null, note: not };
  try {
    const { versions, wrong } = await run(await folderOf(packages));
    say(`${wrong.length === 0 ? 'ok' : 'FAILED'}: ${what}`);
    return { what, versions, ok: wrong.length === 0, note: wrong.join('; ') };
  } catch (error) {
    const note = error instanceof Error ? error.message : String(error);
    say(`FAILED: ${what}`);
    return { what, versions: {}, ok: false, note: note.slice(0, 2000) };
  }
}

function cellJob(cell: Cell): Job {
  const packages = packagesOf(cell);
  return {
    what: titleOf(cell),
    words: wordsOf(cell),
    packages,
    not: whyNot(cell),
    run: async (folder) => runOn(cell.node, folder, packages),
  };
}

function lowestJob(): Job {
  const [node] = NODES;
  return {
    what: `Node ${node}, every peer at its lowest version`,
    words: [`node${node}`, 'lowest'],
    packages: LOWEST,
    not: undefined,
    run: (folder) => runOn(node, folder, LOWEST),
  };
}

function typesJob(version: string): Job {
  return {
    what: `TypeScript ${version}`,
    words: ['types'],
    packages: TYPED_PACKAGES,
    not: undefined,
    run: (folder) => checkTypes(folder, version),
  };
}

async function runOn(major: string, folder: string, packages: readonly string[]): Promise<Verdict> {
  let node = nodes.get(major);
  if (node === undefined) nodes.set(major, (node = installNode(major)));
  return runCell({ node: await node, folder, packages, newDatabase: () => server.newDatabase() });
}

/** Every set is installed once, by the first who needs it. */
function folderOf(packages: readonly string[]): Promise<string> {
  const key = packages.join(' ');
  let folder = folders.get(key);
  if (folder === undefined) folders.set(key, (folder = installSet(tarball, packages)));
  return folder;
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
    return readArgs(process.argv.slice(2), new Set(jobs.flatMap(({ words }) => words)));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}
