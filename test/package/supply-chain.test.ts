/** What stands between an app and somebody else's code in its node_modules. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../support/imports.ts';

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly publishConfig?: { readonly provenance?: boolean };
}

interface Locked {
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly peer?: boolean;
  readonly integrity?: string;
  readonly hasInstallScript?: boolean;
}

// Both are written by npm and in the repository.
const manifest = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Manifest;
const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as {
  readonly packages: Readonly<Record<string, Locked>>;
};
const locked = Object.entries(lock.packages).filter(([path]) => path !== '');
/** What an app gets with lastchunk. */
const shipped = locked.filter(([, { dev, devOptional, peer }]) => !dev && !devOptional && !peer);

describe('the lock file', () => {
  it('has an integrity hash for everything that is installed', () => {
    const without = locked.filter(([, { link, integrity }]) => !link && !integrity);
    expect(without.map(([path]) => path)).toEqual([]);
    expect(locked.length).toBeGreaterThan(100);
    const weak = locked.filter(([, { integrity = '' }]) => !integrity.startsWith('sha512-'));
    expect(weak.map(([path]) => path)).toEqual([]);
  });

  it('installs in an app nothing but the declared dependencies', () => {
    const names = shipped.map(([path]) => path.replace(/^node_modules\//, ''));
    expect(names.toSorted()).toEqual(Object.keys(manifest.dependencies).toSorted());
  });
});

it('runs no script when it is installed, and neither do its dependencies', () => {
  const atInstall = [
    'preinstall',
    'install',
    'postinstall',
    'prepare',
    'preprepare',
    'postprepare',
  ];
  expect(Object.keys(manifest.scripts).filter((name) => atInstall.includes(name))).toEqual([]);
  expect(shipped.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([]);
});

it('is published with provenance', () => {
  expect(manifest.publishConfig?.provenance).toBe(true);
});

it('has a bill of materials with every dependency, which CI adds to the release', async () => {
  const gates = await readFile(join(ROOT, '.ci/run'), 'utf8');
  const [, words = ''] = /^  npm (sbom [^>]*)>"release\/\S+\.cdx\.json"$/m.exec(gates) ?? [];
  expect(gates).toMatch(/^gate '[^']+' released$/m);
  const options = { cwd: ROOT, maxBuffer: 2 ** 24 };
  const { stdout } = await promisify(execFile)('npm', words.trim().split(' '), options);
  // CycloneDX, as npm writes it.
  const bill = JSON.parse(stdout) as {
    readonly bomFormat: string;
    readonly components: readonly Component[];
  };
  expect(bill.bomFormat).toBe('CycloneDX');
  const named = (name: string) => bill.components.find((component) => component.name === name);
  const found = Object.keys(manifest.dependencies).map((name) => [
    name,
    (named(name)?.hashes ?? []).length > 0,
    named(name)?.properties.some((property) => property.name.endsWith(':development')),
  ]);
  expect(found).toEqual(Object.keys(manifest.dependencies).map((name) => [name, true, false]));
}, 120_000);

interface Component {
  readonly name: string;
  readonly hashes?: readonly unknown[];
  readonly properties: readonly { readonly name: string }[];
}
