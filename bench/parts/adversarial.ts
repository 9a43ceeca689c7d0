/** What hostile and unlucky bodies cost: CPU for each MiB, and for how long nothing else gets its turn. */
import { ADVERSARIAL, type AdversarialName } from '../adversarial-bodies.ts';
import { readOnce } from '../client.ts';
import { figure } from '../figures.ts';
import type { Bench } from '../part.ts';
import { startServer } from '../servers.ts';

const ROUNDS = 3;
const MIB = 2 ** 20;
/** In a quick run, every body is so much smaller. */
const QUICK_DIVISOR = 64;

export async function benchAdversarial({ built, quick, found }: Bench): Promise<void> {
  // The keys of the table are its names.
  for (const name of Object.keys(ADVERSARIAL) as AdversarialName[]) {
    const { bytes } = ADVERSARIAL[name];
    const size = Math.max(4_096, quick ? bytes / QUICK_DIVISOR : bytes);
    const rounds: Cost[] = [];
    for (let round = 0; round < (quick ? 1 : ROUNDS); round++) {
      rounds.push(await cost(built, name, size));
    }
    const of = (key: keyof Cost): number[] => rounds.map((one) => one[key]);
    found(figure(`${name}: CPU`, 'ms/MiB', of('cpuMs')));
    found(figure(`${name}: loop delay p99`, 'ms', of('p99Ms')));
    found(figure(`${name}: longest loop delay`, 'ms', of('longestMs')));
  }
}

interface Cost {
  /** Of a MiB, with sending it. */
  readonly cpuMs: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

/** One body in a process of its own: one that it ends rejects. */
async function cost(built: Bench['built'], name: AdversarialName, size: number): Promise<Cost> {
  const server = await startServer(built, 'adversarial', { args: [name, String(size)] });
  await server.ask('loop');
  const before = await server.usage();
  await readOnce(server.port, '/');
  await server.ask('flush');
  const after = await server.usage();
  // The server answers this with these two.
  const loop = (await server.ask('loop')) as Pick<Cost, 'p99Ms' | 'longestMs'>;
  await server.stop();
  return { ...loop, cpuMs: ((after.cpuUs - before.cpuUs) / 1_000 / size) * MIB };
}
