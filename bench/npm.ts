/** Packages that only a bench needs: npm installs them into a directory of the run. */
import { spawnSync } from 'node:child_process';
import type { Bench } from './part.ts';

/** Installs packages (`name@version`). False, with a note, if npm fails, as without a registry. */
export function install(
  { note }: Pick<Bench, 'note'>,
  directory: string,
  packages: readonly string[],
): boolean {
  const flags = ['install', '--prefix', directory, '--ignore-scripts', '--no-audit', '--no-fund'];
  const { status } = spawnSync('npm', [...flags, ...packages], { stdio: 'ignore' });
  const names = packages.join(', ');
  note(status === 0 ? names : `not measured: ${names} (npm failed)`);
  return status === 0;
}
