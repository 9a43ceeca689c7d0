/**
 * Reads the imports and exports of modules, for the tests that enforce the architecture. A pattern is enough: the
 * formatter puts every import and export at the start of a line and in single quotes.
 */
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the repository. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** One import of a module. */
export interface Import {
  /** The text in the quotes. */
  readonly specifier: string;
  /** The file that it refers to, relative to the scanned folder; `undefined` for a package or a builtin. */
  readonly file: string | undefined;
  /** True if the import does not exist at run time. */
  readonly typeOnly: boolean;
}

/** One source file. */
export interface Module {
  /** Relative to the scanned folder, with `/`. */
  readonly file: string;
  readonly text: string;
  readonly lineCount: number;
  readonly imports: readonly Import[];
  /** The names it exports, types included, sorted. */
  readonly exports: readonly string[];
}

/** Every TypeScript file below a folder of the repository, sorted by name. */
export async function readModules(folder: string): Promise<readonly Module[]> {
  const files = await listFiles(folder);
  const sources = files.filter((file) => file.endsWith('.ts'));
  return Promise.all(sources.map((file) => readModule(folder, file)));
}

/** Every file below a folder of the repository, relative to it; none where there is no such folder. */
export async function listFiles(folder: string): Promise<readonly string[]> {
  const top = join(ROOT, folder);
  const entries = await readdir(top, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(top, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .toSorted();
}

async function readModule(folder: string, file: string): Promise<Module> {
  const text = await readFile(join(ROOT, folder, file), 'utf8');
  const found = [...text.matchAll(STATIC_IMPORT), ...text.matchAll(INNER_IMPORT)];
  const imports = found.map(({ groups }): Import => {
    const specifier = groups?.['specifier'] ?? '';
    const isFile = specifier.startsWith('.');
    return {
      specifier,
      file: isFile ? posix.join(dirname(file), specifier) : undefined,
      typeOnly: groups?.['type'] !== undefined || onlyTypes(groups?.['names']),
    };
  });
  const lineCount = text.split('\n').length - 1;
  return { file, text, lineCount, imports, exports: exportsOf(text) };
}

/** True for `{ type A, type B }`. */
function onlyTypes(names: string | undefined): boolean {
  const listed = listOf(names);
  return listed.length > 0 && listed.every((name) => name.startsWith('type '));
}

function exportsOf(text: string): string[] {
  const declared = [...text.matchAll(EXPORTED_DECLARATION)].map(({ groups }) => groups?.['name']);
  const listed = [...text.matchAll(EXPORTED_LIST)].flatMap(({ groups }) =>
    listOf(groups?.['names']),
  );
  const names = listed.map((entry) => entry.replace(/^type /, '').replace(/^.* as /, ''));
  return [...new Set([...declared, ...names])].filter((name) => name !== undefined).toSorted();
}

function listOf(names: string | undefined): string[] {
  const entries = (names ?? '').replaceAll(/\/\*.*?\*\/|\/\/.*$/gms, '').split(',');
  return entries.map((entry) => entry.trim()).filter((entry) => entry !== '');
}

const STATIC_IMPORT =
  /^(?:import|export)\s+(?:(?<type>type)\s+)?(?:[\w*]+(?:\s+as\s+\w+)?,?\s*)?(?:\{(?<names>[^}]*)\}\s*)?(?:from\s+)?'(?<specifier>[^']+)'/gm;
/** `import('x')`: in types, and where an optional package is loaded late. */
const INNER_IMPORT = /\bimport\(\s*'(?<specifier>[^']+)'\s*\)(?<type>\.\w)?/g;
const EXPORTED_DECLARATION =
  /^export\s+(?:declare\s+|abstract\s+)?(?:async\s+)?(?:function\*?|const|let|class|interface|type)\s+(?<name>\w+)/gm;
const EXPORTED_LIST = /^export\s+(?:type\s+)?\{(?<names>[^}]*)\}/gm;
