import { beforeAll, expect, it } from 'vitest';
import { readModules, type Module } from './imports.ts';

let all: readonly Module[];
beforeAll(async () => {
  all = await readModules('test/support');
});

function moduleOf(file: string): Module {
  const found = all.find((module) => module.file === file);
  if (found === undefined) throw new Error(`no ${file}`);
  return found;
}

it('files are distinguished from packages, and types from values', () => {
  expect(moduleOf('imports.test.ts').imports).toEqual([
    { specifier: 'vitest', file: undefined, typeOnly: false },
    { specifier: './imports.ts', file: 'imports.ts', typeOnly: false },
  ]);
  expect(moduleOf('postgres.test.ts').imports.at(-1)).toEqual({
    specifier: './postgres.ts',
    file: 'postgres.ts',
    typeOnly: true,
  });
});

it('all exports of a module are listed, types included', () => {
  expect(moduleOf('imports.ts').exports).toEqual([
    'Import',
    'Module',
    'ROOT',
    'listFiles',
    'readModules',
  ]);
});
