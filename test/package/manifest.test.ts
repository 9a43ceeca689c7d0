/** What package.json promises. How the packed package behaves is checked by scripts/check-package.ts. */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../support/imports.ts';

interface Manifest {
  readonly type: string;
  readonly main: string;
  readonly types: string;
  readonly typesVersions: Readonly<Record<'*', Readonly<Record<string, readonly string[]>>>>;
  readonly exports: Readonly<Record<string, Target>>;
  readonly bin: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly engines: { readonly node: string };
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
}

type Target = string | { readonly [condition: string]: Target };

// True for a package.json that npm has installed from; a wrong shape fails the tests below.
const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Manifest;

it('requires the OpenTelemetry API as its only peer, and installs no copy of any peer', () => {
  const optional = Object.keys(manifest.peerDependenciesMeta);
  const required = Object.keys(manifest.peerDependencies).filter(
    (name) => !optional.includes(name),
  );
  expect(required).toEqual(['@opentelemetry/api']);
  const own = Object.keys(manifest.dependencies);
  expect(own.filter((name) => name in manifest.peerDependencies)).toEqual([]);
});

it('builds every entry point and program from a source file', async () => {
  const targets = [
    ...Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string' ? [] : filesOf(target),
    ),
    ...Object.values(manifest.bin).map((target) => `./${target}`),
  ];
  const sources = targets.map((target) =>
    target.replace(/^\.\/dist\/(?:cjs\/)?/, 'src/').replace(/(?:\.d\.ts|\.js)$/, '.ts'),
  );
  for (const source of sources) await access(join(ROOT, source));
  expect(sources).toContain('src/index.ts');
});

it('gives each entry point one ES module for Node and a CommonJS build for everything older', async () => {
  const project = JSON.parse(await readFile(join(ROOT, 'tsconfig.cjs.json'), 'utf8')) as {
    readonly files: readonly string[];
  };
  const built: string[] = [];
  for (const [entry, target] of Object.entries(manifest.exports)) {
    // The program that starts the SDK is loaded by `--import`, and by `--require` as the ES module it is.
    if (entry === './package.json' || entry === './register') continue;
    expect(Object.keys(target)).toEqual(['module-sync', 'require', 'default']);
    const files = filesOf(target);
    const [source] = files.map((file) => /^\.\/dist\/(.*)\.d\.ts$/.exec(file)?.[1]);
    expect(files).toEqual([
      `./dist/${source}.d.ts`,
      `./dist/${source}.js`,
      `./dist/cjs/${source}.d.ts`,
      `./dist/cjs/${source}.js`,
      `./dist/${source}.d.ts`,
      `./dist/${source}.js`,
    ]);
    built.push(`src/${source}.ts`);
    const old =
      entry === '.' ? [manifest.types.slice(2)] : manifest.typesVersions['*'][entry.slice(2)];
    expect(old).toEqual([`dist/cjs/${source}.d.ts`]);
  }
  expect(manifest.main).toBe('./dist/cjs/index.js');
  expect(built.toSorted()).toEqual(project.files.toSorted());
});

function filesOf(target: Target): string[] {
  return typeof target === 'string' ? [target] : Object.values(target).flatMap(filesOf);
}

it('supports only versions of Node whose require() can load an ES module', () => {
  expect(manifest.type).toBe('module');
  expect(manifest.engines.node).toBe('^20.19.0 || ^22.12.0 || >=24.0.0');
});

it('has at most ten scripts', () => {
  expect(Object.keys(manifest.scripts).length).toBeLessThanOrEqual(10);
});

it('has a lock file without the address of a registry', async () => {
  const lock = await readFile(join(ROOT, 'package-lock.json'), 'utf8');
  expect(lock).not.toMatch(/"resolved":|https?:\/\/[^"]*\.tgz/);
});
