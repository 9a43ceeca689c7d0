/** Who can load the package: a row for each compiler with its settings, and for each program that loads or bundles it. */

/** What is installed for all rows, beside lastchunk itself. */
export const PACKAGES: readonly string[] = [
  '@opentelemetry/api@1.9.1',
  'pg@8.23.1',
  'prom-client@15.1.3',
  '@types/node@20',
  '@types/pg@8',
  '@vercel/ncc@0.38',
  'esbuild@0.28',
  'jest@30',
  'tsup@8',
  'tsx@4',
  // For tsup.
  'typescript@5.9.3',
  'vitest@4',
  'webpack@5',
  'webpack-cli@6',
];

/** The lowest that the declarations need, and each line that is in use since. */
export const COMPILERS = ['5.0.4', '5.2.2', '5.9.3', '6.0.3', '7.0.2'] as const;

/** Settings of `module`, and of `moduleResolution` where it is not the default; since which compiler. */
export const SETTINGS: readonly {
  readonly title: string;
  readonly flags: readonly string[];
  /** CommonJS, ES modules, or a file of each. */
  readonly files: readonly ('cjs' | 'esm')[];
  readonly since?: string;
}[] = [
  { title: '`commonjs`', flags: ['--module', 'commonjs'], files: ['cjs'] },
  { title: '`node16`', flags: ['--module', 'node16'], files: ['cjs', 'esm'] },
  { title: '`node18`', flags: ['--module', 'node18'], files: ['cjs', 'esm'], since: '5.8' },
  { title: '`node20`', flags: ['--module', 'node20'], files: ['cjs', 'esm'], since: '5.9' },
  { title: '`nodenext`', flags: ['--module', 'nodenext'], files: ['cjs', 'esm'] },
  {
    title: '`esnext`, `bundler`',
    flags: ['--module', 'esnext', '--moduleResolution', 'bundler'],
    files: ['esm'],
  },
];

/** Programs; each runs `command` in the consumer's folder, and a bundle runs in an empty one. */
export const PROGRAMS: readonly {
  readonly title: string;
  readonly command: readonly string[];
  /** The file that the command has made, to be run where nothing is installed. */
  readonly bundle?: string;
  /** Majors of Node beside the one that runs here. */
  readonly nodes?: readonly string[];
}[] = [
  { title: 'Node, `import`', command: ['program.mjs'], nodes: ['22', '24'] },
  { title: 'Node, `require()`', command: ['program.cjs'], nodes: ['22', '24'] },
  { title: 'tsx', command: ['node_modules/tsx/dist/cli.mjs', 'typed.mts'] },
  {
    title: 'Jest 30',
    command: ['node_modules/jest/bin/jest.js', 'keeps.jest.test.js'],
    nodes: ['22', '24'],
  },
  {
    title: 'vitest 4',
    command: [
      'node_modules/vitest/vitest.mjs',
      'run',
      'keeps.vitest.test.js',
      '--reporter=verbose',
    ],
  },
  bundled('esbuild, CommonJS', 'esbuild.cjs', [
    'node_modules/esbuild/bin/esbuild',
    'program.mjs',
    '--bundle',
    '--platform=node',
    '--format=cjs',
    '--log-level=error',
    '--outfile=out/esbuild.cjs',
  ]),
  bundled('esbuild, CommonJS, of `require()`', 'esbuild-required.cjs', [
    'node_modules/esbuild/bin/esbuild',
    'program.cjs',
    '--bundle',
    '--platform=node',
    '--format=cjs',
    '--log-level=error',
    '--outfile=out/esbuild-required.cjs',
  ]),
  bundled('esbuild, ES modules', 'esbuild.mjs', [
    'node_modules/esbuild/bin/esbuild',
    'program.mjs',
    '--bundle',
    '--platform=node',
    '--format=esm',
    '--log-level=error',
    // pg and prom-client are CommonJS and require Node's modules.
    "--banner:js=import { createRequire as bannerRequire } from 'node:module'; const require = bannerRequire(import.meta.url);",
    '--outfile=out/esbuild.mjs',
  ]),
  bundled('tsup, CommonJS', 'tsup/program.cjs', ['node_modules/tsup/dist/cli-default.js']),
  bundled('webpack 5', 'webpack.cjs', [
    'node_modules/webpack-cli/bin/cli.js',
    '--mode=development',
    '--devtool=false',
    '--target=node20',
    '--entry=./program.mjs',
    '--output-path=out',
    '--output-filename=webpack.cjs',
  ]),
  bundled('ncc, of `require()`', 'ncc/index.cjs', [
    'node_modules/@vercel/ncc/dist/ncc/cli.js',
    'build',
    'program.cjs',
    '-o',
    'out/ncc',
  ]),
];

function bundled(title: string, bundle: string, command: readonly string[]) {
  return { title, bundle: `out/${bundle}`, command };
}

/** The rows of the page docs/compatibility.md. */
export function consumerTitles(): readonly string[] {
  return [
    ...COMPILERS.flatMap((compiler) =>
      SETTINGS.filter(({ since }) => isSince(compiler, since)).map(
        ({ title }) => `TypeScript ${compiler}, ${title}`,
      ),
    ),
    ...PROGRAMS.flatMap(({ title, nodes = [] }) =>
      ['', ...nodes].map((node) => (node === '' ? title : `${title}, on Node ${node}`)),
    ),
  ];
}

/** Whether a compiler has a setting. */
export function isSince(compiler: string, since = '5.0'): boolean {
  return compiler.localeCompare(since, 'en', { numeric: true }) >= 0;
}
