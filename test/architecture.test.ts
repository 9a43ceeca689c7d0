/**
 * The shape of the source, as docs/architecture.md draws it: who may import whom, which package belongs to
 * whom, and how large a file may grow.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { listFiles, readModules, type Module } from './support/imports.ts';

/**
 * From the bottom up. A part is a file or a folder of `src`; it may import what is below it, and in a layer
 * whose parts are not `strangers` also its neighbours.
 */
const LAYERS: readonly { readonly parts: readonly string[]; readonly strangers: boolean }[] = [
  { parts: ['core'], strangers: false },
  { parts: ['formats', 'journal', 'relay'], strangers: true },
  { parts: ['stream', 'saver', 'noise', 'postgres', 'redis', 'pool-watch'], strangers: true },
  { parts: ['telemetry', 'health', 'slo', 'status'], strangers: false },
  {
    parts: [
      'given-store',
      'compose',
      'options',
      'lastchunk',
      'index',
      'testing',
      'client',
      'cli',
      'register',
      'frameworks',
    ],
    strangers: false,
  },
];

/** Where a package may be imported: a folder or a file of `src`. What is not listed here is imported nowhere. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  '@opentelemetry/api': ['telemetry/'],
  'eventsource-parser': ['formats/'],
  uuid: ['stream/'],
  yaml: ['slo/'],
  semver: ['cli/doctor/'],
  // `createRequire` loads what may not be there: `pg`, and the Prometheus clients.
  'node:module': ['core/load-peer.ts', 'register/'],
};

/** What an app without any optional package can load. */
const ALWAYS_INSTALLED = ['@opentelemetry/api', 'eventsource-parser', 'uuid'];

const LINES_AT_MOST = 300;

let modules: readonly Module[];
beforeAll(async () => {
  modules = await readModules('src');
});

describe('import direction', () => {
  it('assigns every file to a part', () => {
    const homeless = modules.filter(({ file }) => partOf(file) === undefined);
    expect(homeless.map(({ file }) => file)).toEqual([]);
  });

  it('allows imports downwards only, and none between independent parts', () => {
    const wrong = edges().filter(({ from, to }) => !mayImport(from, to));
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it('targets only files that exist', () => {
    const files = new Set(modules.map(({ file }) => file));
    const broken = edges().filter(({ to }) => !files.has(to));
    expect(broken.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it('has no cycle, type-only imports included', () => {
    expect(findCycle(new Map(modules.map((module) => [module.file, targetsOf(module)])))).toEqual(
      [],
    );
  });
});

describe('packages', () => {
  it('are imported only by their owner', () => {
    const wrong = modules.flatMap(({ file, imports }) =>
      imports
        .map(({ specifier }) => packageOf(specifier))
        .filter((name) => name !== undefined)
        .filter((name) => !(OWNERS[name] ?? []).some((owner) => file.startsWith(owner)))
        .map((name) => `${file} -> ${name}`),
    );
    expect(wrong).toEqual([]);
  });

  it('that create ids are imported in at most one file', () => {
    const users = modules.filter(({ imports }) => imports.some((one) => one.specifier === 'uuid'));
    expect(users.length).toBeLessThanOrEqual(1);
  });

  it('are not imported by the client, which runs in web pages', () => {
    const client = modules.find(({ file }) => file === 'client.ts');
    expect(client?.text).not.toMatch(/^import|\bimport\(|\brequire\(/m);
  });

  it('that are optional are not imported from the root entry', () => {
    const byFile = new Map(modules.map((module) => [module.file, module]));
    const seen = new Set(['index.ts']);
    const packages = new Set<string>();
    for (const file of seen) {
      for (const one of byFile.get(file)?.imports ?? []) {
        if (one.typeOnly) continue;
        if (one.file !== undefined) seen.add(one.file);
        const name = packageOf(one.specifier);
        if (name !== undefined) packages.add(name);
      }
    }
    expect(seen.size).toBeGreaterThan(10);
    expect([...packages].filter((name) => !ALWAYS_INSTALLED.includes(name))).toEqual([]);
  });
});

describe('files', () => {
  it(`have at most ${LINES_AT_MOST} lines`, () => {
    const long = modules.filter(({ lineCount }) => lineCount > LINES_AT_MOST);
    expect(long.map(({ file, lineCount }) => `${file}: ${lineCount}`)).toEqual([]);
  });

  it('are not empty', async () => {
    const all = [
      ...modules,
      ...(await readModules('test')),
      ...(await readModules('scripts')),
      ...(await readModules('tools')),
    ];
    expect(all.filter(({ text }) => text.trim() === '').map(({ file }) => file)).toEqual([]);
  });

  it('export by name, without `export *`', () => {
    const wild = modules.filter(({ text }) => /^export (?:type )?\*/m.test(text));
    expect(wild.map(({ file }) => file)).toEqual([]);
  });

  it('have their tests in the same place under test/', async () => {
    const folders = new Set(modules.map(({ file }) => folderOf(file)));
    const tests = (await listFiles('test')).filter((file) => file.endsWith('.test.ts'));
    const tested = new Set(tests.map(folderOf));
    const untested = [...folders].filter(
      (folder) => !tested.has(folder) && !TABLES_ONLY.includes(folder),
    );
    const strange = [...tested].filter(
      (folder) => !folders.has(folder) && !OTHER_TESTED_FOLDERS.includes(folder),
    );
    expect({ untested, strange }).toEqual({ untested: [], strange: [] });
  });
});

/** Folders of tables, which are tested where they are read. */
const TABLES_ONLY: readonly string[] = [];

/** What has tests without being in `src`: the tests' own help, the package as a whole, code beside it. */
const OTHER_TESTED_FOLDERS = [
  'support',
  'formats/corpus',
  'formats/fuzz',
  'package',
  'deploy',
  'scenarios',
  'differential',
  'peers',
  'shapes',
  'first-screen',
  'handlers',
  'browser',
  'guide',
  'faults',
  'examples',
  'demo',
  'bench',
  'scripts',
  'slo/dashboards',
];

function edges(): { readonly from: string; readonly to: string }[] {
  return modules.flatMap((module) => targetsOf(module).map((to) => ({ from: module.file, to })));
}

function targetsOf({ imports }: Module): string[] {
  return imports.map(({ file }) => file).filter((file) => file !== undefined);
}

function partOf(file: string): { readonly layer: number; readonly part: string } | undefined {
  for (const [layer, { parts }] of LAYERS.entries()) {
    const part = parts.find((name) => file === `${name}.ts` || file.startsWith(`${name}/`));
    if (part !== undefined) return { layer, part };
  }
  return undefined;
}

function mayImport(from: string, to: string): boolean {
  const [user, used] = [partOf(from), partOf(to)];
  if (user === undefined || used === undefined) return false;
  if (used.layer !== user.layer) return used.layer < user.layer;
  return used.part === user.part || LAYERS[user.layer]?.strangers === false;
}

/** The name of the package, without the path inside it; `undefined` for a file, and for a builtin without an owner. */
function packageOf(specifier: string): string | undefined {
  if (specifier in OWNERS) return specifier;
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined;
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** The files of one cycle in order, or nothing. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const next of graph.get(file) ?? []) {
      const cycle = visit(next, [...path, file]);
      if (cycle.length > 0) return cycle;
    }
    done.add(file);
    return [];
  };
  for (const file of graph.keys()) {
    const cycle = visit(file, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

function folderOf(file: string): string {
  return file.includes('/') ? file.slice(0, file.lastIndexOf('/')) : '';
}
