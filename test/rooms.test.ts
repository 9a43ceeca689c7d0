/**
 * The rules of the rooms: a room says what it is, a file has enough in it to be read alone, one thing has one name, and the
 * pages that lead through the source name files that exist.
 */
import { access, readFile } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { listFiles, readModules, ROOT, type Module } from './support/imports.ts';

/** A folder with more files than this has to say what it is. */
const FILES_WITHOUT_README = 4;
/** A screen, about. */
const README_LINES_AT_MOST = 70;
/** A shorter file with a single importer could be a part of that importer. */
const SHORT_FILE_LINES = 60;
const HOPS_AT_MOST = 12;

/** Short files with a single importer, and why each stands alone all the same. */
const SHORT_FILES: Readonly<Record<string, string>> = {
  'cli/doctor/api-copies.ts': "the API's own rule of who hears whom, and what registers an SDK",
  'cli/rules.ts': 'a command: a file each, loaded when it is called',
  'core/names/capture-metrics.ts':
    'a part of the metric table, which would be over 300 lines with it',
  'formats/custom-format.ts': 'all that guards against what an app gave as its format',
  'formats/vendors/ai-sdk-data.ts': 'a wire format: a file each',
  'formats/vendors/ollama.ts': 'a wire format: a file each',
  'formats/vendors/plain-text.ts': 'a wire format: a file each',
  'noise/adapters/serialised.ts': 'a table of shapes that loggers give errors',
  'status/assets.ts': 'a generated file',
  'stream/body/slices.ts': 'how long readings let others run, with its figures',
  'stream/body/write-ahead.ts':
    'the rule of when one write serves several streams, with its figure',
};

/** Names that two files of `src` export, and why neither can give way. */
const SHARED_NAMES: Readonly<Record<string, string>> = {
  Ending:
    'what the journal keeps of a message, and how its handler ended; journal imports only core',
  BodyReader: 'one reads frames, the other the records of the journal, which imports only core',
};

/** Files with a test that is tried again after a failure, and why it cannot be made deterministic. */
const RETRIED: Readonly<Record<string, string>> = {};

let modules: readonly Module[];
beforeAll(async () => {
  modules = await readModules('src');
});

describe('a room', () => {
  it('has a README of at most one screen', async () => {
    const sizes = new Map<string, number>();
    for (const { file } of modules) {
      const room = posix.dirname(file);
      sizes.set(room, (sizes.get(room) ?? 0) + 1);
    }
    const crowded = [...sizes].filter(
      ([room, size]) => room !== '.' && size > FILES_WITHOUT_README,
    );
    const wrong: string[] = [];
    for (const [room] of crowded) {
      const readme = await textOf(`src/${room}/README.md`);
      const lines = readme.split('\n').length - 1;
      if (lines === 0) wrong.push(`${room} has no README.md`);
      if (lines > README_LINES_AT_MOST) wrong.push(`${room}/README.md has ${lines} lines`);
    }
    expect(wrong).toEqual([]);
  });

  it('has a README that names only existing files', async () => {
    const readmes = (await listFiles('src')).filter((file) => file.endsWith('README.md'));
    const files = new Set(modules.map(({ file }) => file));
    const wrong: string[] = [];
    for (const readme of readmes) {
      const room = posix.dirname(readme);
      for (const name of filesNamedIn(await textOf(`src/${readme}`))) {
        const places = [room, posix.dirname(room), '.'].map((place) => posix.join(place, name));
        if (places.some((place) => files.has(place)) || (await exists(name))) continue;
        wrong.push(`${readme}: ${name}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe('a short file with a single importer', () => {
  it('has its reason in the table, and the table has no other entry', () => {
    const importers = new Map<string, number>();
    for (const { imports } of modules) {
      for (const file of new Set(imports.map((one) => one.file))) {
        if (file !== undefined) importers.set(file, (importers.get(file) ?? 0) + 1);
      }
    }
    const short = modules
      .filter(({ file, lineCount }) => lineCount < SHORT_FILE_LINES && importers.get(file) === 1)
      .map(({ file }) => file);
    expect(short).toEqual(Object.keys(SHORT_FILES).toSorted());
  });
});

describe('an exported name', () => {
  it('has exactly one declaration', () => {
    const declared = new Map<string, string[]>();
    for (const { file, text } of modules) {
      for (const name of new Set(declarationsIn(text))) {
        declared.set(name, [...(declared.get(name) ?? []), file]);
      }
    }
    const shared = [...declared].filter(
      ([name, files]) => files.length > 1 && !(name in SHARED_NAMES),
    );
    expect(shared.map(([name, files]) => `${name}: ${files.join(', ')}`)).toEqual([]);
    const unique = Object.keys(SHARED_NAMES).filter((name) => declared.get(name)?.length !== 2);
    expect(unique).toEqual([]);
  });
});

describe('a test that fails', () => {
  it('is retried only after a stall, or with a reason in the table', async () => {
    const retried: string[] = [];
    for (const folder of ['test', 'examples']) {
      for (const file of await listFiles(folder)) {
        if (!file.endsWith('.test.ts')) continue;
        const hasRetry = /\{[^{}\n]*\bretry: \d/.test(await textOf(`${folder}/${file}`));
        if (hasRetry) retried.push(`${folder}/${file}`);
      }
    }
    expect(retried.toSorted()).toEqual(Object.keys(RETRIED).toSorted());
    expect(await textOf('vitest.config.ts')).toContain('retry: { count: 1, condition: STALLED },');
  });
});

describe('docs/architecture.md', () => {
  it.each(['How a chunk flows', 'How a message flows', 'How a disconnect flows'])(
    'describes "%s" in at most a dozen hops, each in an existing file',
    async (title) => {
      const [, section] = (await textOf('docs/architecture.md')).split(`\n## ${title}\n`);
      const hops = section?.split('\n## ')[0]?.match(/^\d+\. .*(?:\n {3}.*)*/gm) ?? [];
      expect(hops.length).toBeGreaterThan(4);
      expect(hops.length).toBeLessThanOrEqual(HOPS_AT_MOST);
      const files = new Set(modules.map(({ file }) => `src/${file}`));
      const lost = hops.filter((hop) => {
        const named = filesNamedIn(hop);
        return named.length === 0 || named.some((name) => !files.has(name));
      });
      expect(lost).toEqual([]);
    },
  );

  it.each([
    'docs/architecture.md',
    'docs/contributing/map.md',
    'docs/contributing/glossary.md',
    'docs/contributing/debugging.md',
    'docs/contributing/add-a-format.md',
    'docs/contributing/add-a-metric.md',
    'docs/contributing/add-an-alert.md',
    'docs/contributing/add-a-fault.md',
    'CONTRIBUTING.md',
  ])('and the pages for contributors name and link only existing files: %s', async (page) => {
    const text = await textOf(page);
    const named = filesNamedIn(text).filter((name) => name.includes('/'));
    const run = [...text.matchAll(/`[^`\n]*vitest run ([^`&]+)/g)].flatMap(
      ([, paths = '']) => paths.match(/\btest\/[\w./-]+/g) ?? [],
    );
    const linked = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target]) =>
      posix.join(dirname(page), target ?? ''),
    );
    expect(text).not.toBe('');
    const wrong: string[] = [];
    for (const path of [...named, ...run, ...linked]) {
      if (!(await exists(path))) wrong.push(path);
    }
    expect(wrong).toEqual([]);
  });
});

/** Paths of TypeScript files in backticks; patterns with `*` or `{` are left out. */
function filesNamedIn(text: string): string[] {
  return [...text.matchAll(/`([\w./-]+\.ts)`/g)].map(([, name]) => name ?? '');
}

function declarationsIn(text: string): string[] {
  const declaration =
    /^export (?:async )?(?:abstract )?(?:const|let|function\*?|class|interface|type) (\w+)/gm;
  return [...text.matchAll(declaration)].map(([, name]) => name ?? '');
}

/** '' where there is no such file. */
async function textOf(path: string): Promise<string> {
  return readFile(join(ROOT, path), 'utf8').catch(() => '');
}

async function exists(path: string): Promise<boolean> {
  return access(join(ROOT, path)).then(
    () => true,
    () => false,
  );
}
