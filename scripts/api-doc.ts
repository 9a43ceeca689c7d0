/**
 * `docs/api.md`: every name that the package exports, with its doc comment and its shape, out of the declarations that the
 * compiler writes. A change of the public surface is a change of this page.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** One exported name. */
interface Declared {
  readonly name: string;
  /** Without the comment's marks. */
  readonly comment: string;
  readonly shape: string;
}

/** The whole page. Throws what the compiler says where it refuses the source, and the name that has no declaration. */
export async function apiDoc(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'lastchunk-api-'));
  try {
    const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
    const flags = ['-p', 'tsconfig.build.json', '--emitDeclarationOnly', '--outDir', directory];
    const { status, stdout } = spawnSync(tsc, flags, { cwd: ROOT, encoding: 'utf8' });
    if (status !== 0) throw new Error(`the package does not compile:\n${stdout}`);
    const read = (file: string): string => readFileSync(join(directory, file), 'utf8');
    const sections = entries().map(([entry, file]) => section(entry, exportsOf(file, read)));
    const style = await resolveConfig(join(ROOT, 'docs/api.md'));
    return await format([HEAD, ...sections].join('\n'), { ...style, parser: 'markdown' });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const HEAD = `# API

Made from the doc comments by \`npm run generate\`; do not edit. Every name that the package exports, by the module that exports
it.
`;

/** The modules that users import, and the declarations of each. */
function entries(): readonly (readonly [string, string])[] {
  const { exports: map } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    exports: Record<string, unknown>;
  };
  return Object.entries(map).flatMap(([entry, target]) => {
    const [, file] = /"\.\/dist\/([\w/-]+\.d\.ts)"/.exec(JSON.stringify(target)) ?? [];
    return file === undefined ? [] : [[posix.join('lastchunk', entry), file] as const];
  });
}

function section(entry: string, declared: readonly Declared[]): string {
  const names = declared.map(({ name, comment, shape }) =>
    [`### ${name}`, comment, `\`\`\`ts\n${shape}\n\`\`\``]
      .filter((part) => part !== '')
      .join('\n\n'),
  );
  const all = names.length === 0 ? ['Exports nothing: it is imported for what it does.'] : names;
  return `## \`${entry}\`\n\n${all.join('\n\n')}\n`;
}

type Read = (file: string) => string;

/** What a module exports, its own and what it passes on, by name. */
function exportsOf(file: string, read: Read): readonly Declared[] {
  const text = read(file);
  const found: Declared[] = declarationsIn(text).map((name) => declaration(name, file, read));
  for (const [, names = '', from = ''] of text.matchAll(PASSED_ON)) {
    for (const one of names.split(',')) {
      const [name = '', as = name] = one
        .trim()
        .replace(/^type /, '')
        .split(' as ');
      if (name !== '') found.push({ ...declaration(name, target(file, from), read), name: as });
    }
  }
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

const PASSED_ON = /^export (?:type )?\{([^}]*)\} from '([^']+)';$/gm;
const IMPORTED = /^import (?:type )?\{([^}]*)\} from '([^']+)';$/gm;
const DECLARED =
  /^export (?:declare )?(?:abstract )?(?:class|interface|function|type|const) (\w+)/gm;

function declarationsIn(text: string): readonly string[] {
  return [...new Set([...text.matchAll(DECLARED)].map(([, name = '']) => name))];
}

/** The file that a specifier of another one means. */
function target(file: string, specifier: string): string {
  return posix.join(posix.dirname(file), specifier.replace(/\.[jt]s$/, '.d.ts'));
}

/** Finds where a name is declared, through every module that passes it on. */
function declaration(name: string, file: string, read: Read): Declared {
  const text = read(file);
  if (declarationsIn(text).includes(name)) return cut(name, text);
  for (const pattern of [PASSED_ON, IMPORTED]) {
    for (const [, names = '', from = ''] of text.matchAll(pattern)) {
      const one = names.split(',').find((part) => part.trim().split(' ').at(-1) === name);
      if (one === undefined || !from.startsWith('.')) continue;
      const original =
        one
          .trim()
          .replace(/^type /, '')
          .split(' as ')[0] ?? name;
      return { ...declaration(original, target(file, from), read), name };
    }
  }
  throw new Error(`${name} is exported by ${file}, and declared nowhere`);
}

/** The declaration itself, all overloads of a function, without private members and without `export declare`. */
function cut(name: string, text: string): Declared {
  const lines = text.split('\n');
  const starts = [...lines.keys()].filter((at) =>
    new RegExp(
      `^export (?:declare )?(?:abstract )?(?:class|interface|function|type|const) ${name}\\b`,
    ).test(lines[at] ?? ''),
  );
  const shapes = starts.map((at) => lines.slice(at, endOf(lines, at) + 1).join('\n'));
  const shape = shapes
    .join('\n')
    .replace(/^export (?:declare )?/gm, '')
    .replace(/^ +(?:#private|private \w+);\n/gm, '');
  return { name, comment: commentBefore(lines, starts[0] ?? 0), shape };
}

/** The last line of a declaration: its brackets are closed there. */
function endOf(lines: readonly string[], start: number): number {
  let depth = 0;
  for (let at = start; at < lines.length; at += 1) {
    const line = (lines[at] ?? '').replace(/\/\*.*?\*\/|'[^']*'|=>/g, '');
    if (/^\s*(?:\/\*\*|\*)/.test(line)) continue;
    depth += (line.match(/[{([<]/g) ?? []).length - (line.match(/[})\]>]/g) ?? []).length;
    if (depth <= 0 && /[;}]$/.test(line.trim())) return at;
  }
  throw new Error(`the declaration in line ${start + 1} has no end`);
}

function commentBefore(lines: readonly string[], start: number): string {
  if (!(lines[start - 1] ?? '').trim().endsWith('*/')) return '';
  let from = start - 1;
  while (from > 0 && !(lines[from] ?? '').startsWith('/**')) from -= 1;
  return lines
    .slice(from, start)
    .map((line) => line.replace(/^\s*(?:\/\*\*|\*\/|\*)?\s?/, '').replace(/\s*\*\/$/, ''))
    .join('\n')
    .trim();
}
