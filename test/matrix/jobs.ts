/** Everything that the matrix finds out, in the order of its table. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { satisfies } from 'semver';
import { runDoctorBeside, runTool } from './beside/run.ts';
import { NEWER_API_PACKAGES, type Tool, TOOL_PACKAGES, TOOLS } from './beside/tools.ts';
import { runCell, runClient, runScrapes, type Task, type Verdict } from './cell.ts';
import {
  allCells,
  type Cell,
  LOWEST,
  madeForNode22,
  NODES,
  packagesOf,
  type Refusal,
  titleOf,
  whyNot,
  wordsOf,
} from './cells.ts';
import { MODEL_CLIENTS, type ModelClient } from './clients.ts';
import { SCRAPE_PACKAGES, SCRAPE_TITLE } from './scrapes.ts';
import { checkTypes, COMPILERS, TYPED_PACKAGES } from './types.ts';

/** One line of the table, as it is found or as it is promised. */
export interface Finding {
  readonly what: string;
  /** `null`: it cannot be. */
  readonly ok: boolean | null;
  /** What is wrong, or why it cannot be; else empty. */
  readonly note: string;
}

/** Where a job is done. */
export interface Place {
  /** Where its packages are. */
  readonly folder: string;
  newDatabase(): Promise<string>;
  /** The binary of a major version. */
  node(major: string): Promise<string>;
}

/** Something to be found out. */
export interface Job {
  readonly what: string;
  /** What `--only` chooses it by. */
  readonly words: readonly string[];
  readonly packages: readonly string[];
  /** Why it cannot be. */
  readonly not: Refusal | undefined;
  run(place: Place): Promise<Verdict>;
}

/** The lowest, whose packages all of them take, and the one that most people have. */
const TOOL_NODES = ['20', '24'];

/** All of them. */
export const JOBS: readonly Job[] = [
  ...allCells().map(cellJob),
  onNode('20', 'every peer at its lowest version', 'lowest', {
    packages: LOWEST,
    run: runCell,
  }),
  ...MODEL_CLIENTS.flatMap((client) => NODES.map((node) => clientJob(node, client))),
  ...NODES.map((node) => refusedOn20(scrapeJob(node), node, ['@prometheus-io/client'])),
  ...TOOL_NODES.flatMap((node) => TOOLS.map((tool) => toolJob(node, tool))),
  onNode('20', 'lastchunk doctor finds every copy of the API that others bring', 'beside', {
    packages: NEWER_API_PACKAGES,
    run: runDoctorBeside,
  }),
  ...COMPILERS.map(typesJob),
];

/** What the table promises: all of it, but for what cannot be. */
export function promised(): readonly Finding[] {
  return JOBS.map(({ what, not }) =>
    not === undefined ? { what, ok: true, note: '' } : { what, ok: null, note: not.why },
  );
}

function cellJob(cell: Cell): Job {
  const job = onNode(cell.node, '', '', { packages: packagesOf(cell), run: runCell });
  return { ...job, what: titleOf(cell), words: wordsOf(cell), not: whyNot(cell) };
}

function clientJob(node: (typeof NODES)[number], client: ModelClient): Job {
  const { name, packages, madeForNode22 } = client;
  const run = (task: Task): Promise<Verdict> => runClient(task, client);
  return refusedOn20(onNode(node, name, 'clients', { packages, run }), node, [madeForNode22]);
}

function scrapeJob(node: string): Job {
  return onNode(node, SCRAPE_TITLE, 'scrapes', {
    packages: SCRAPE_PACKAGES,
    run: runScrapes,
  });
}

function toolJob(node: string, tool: Tool): Job {
  const run = (task: Task): Promise<Verdict> => runTool(task, tool);
  return onNode(node, `beside ${tool.name}`, 'beside', { packages: TOOL_PACKAGES, run });
}

function refusedOn20(job: Job, node: string, by: readonly string[]): Job {
  if (node !== '20') return job;
  return { ...job, not: madeForNode22(by.join(' and '), by) };
}

function onNode(
  node: string,
  what: string,
  word: string,
  how: { readonly packages: readonly string[]; run(task: Task): Promise<Verdict> },
): Job {
  const { packages, run } = how;
  return {
    what: `Node ${node}, ${what}`,
    words: [`node${node}`, word],
    packages,
    not: undefined,
    run: async ({ folder, newDatabase, node: binaryOf }) =>
      run({ node: await binaryOf(node), folder, packages, newDatabase }),
  };
}

function typesJob(version: string): Job {
  return {
    what: `TypeScript ${version}`,
    words: ['types'],
    packages: TYPED_PACKAGES,
    not: undefined,
    run: ({ folder }) => checkTypes(folder, version),
  };
}

/** Whether what cannot be is still refused by those who refused it: every package must, by its `engines`. */
export async function stillRefused(folder: string, { by }: Refusal): Promise<readonly string[]> {
  const wrong = await Promise.all(
    by.map(async (name) => {
      const file = join(folder, 'node_modules', name, 'package.json');
      // A manifest; what is not in it reads as undefined.
      const { engines } = JSON.parse(await readFile(file, 'utf8')) as {
        readonly engines?: { readonly node?: string };
      };
      const takes = engines?.node === undefined || satisfies('20.999.0', engines.node);
      return takes ? [`${name} takes Node 20`] : [];
    }),
  );
  return wrong.flat();
}
