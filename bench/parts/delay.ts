/** How much later a chunk reaches its client, when the server has nothing else to do. */
import { connectTo } from '../client.ts';
import { figure, quantile } from '../figures.ts';
import { agesUs } from '../frames.ts';
import { startReceiver } from '../receiver.ts';
import { differences, inTurn, pick } from '../rounds.ts';
import { startServer, startServers } from '../servers.ts';
import { VARIANT_NAMES, VARIANTS } from '../servers/variants.ts';
import { warmUp } from '../warm-up.ts';
import type { Bench } from '../part.ts';

const ROUNDS = { rounds: 7, warmUp: 1 };
const CHUNKS = 1_000;
const QUICK = { rounds: 1, chunks: 100 };

const PARTS_OF_ALL = { p50: 0.5, p99: 0.99 } as const;

export async function benchDelay({ built, quick, found }: Bench): Promise<void> {
  const receiver = await startReceiver();
  const servers = await startServers(VARIANT_NAMES, (name) =>
    startServer(built, 'variant', { args: [name], env: receiver.env }),
  );
  for (const name of VARIANT_NAMES) await warmUp(servers[name].port, '/stream/24/8', quick);
  const ages = await inTurn(VARIANT_NAMES, quick ? QUICK : ROUNDS, (name) =>
    agesOf(servers[name].port, quick ? QUICK.chunks : CHUNKS),
  );
  for (const [label, part] of Object.entries(PARTS_OF_ALL)) {
    const of = pick(ages, (list) => quantile(list, part));
    found(figure(`${label}: bare Express`, 'µs', of.express));
    for (const name of VARIANT_NAMES.filter((one) => one !== 'express')) {
      const added = differences(of[name], of.express);
      found(figure(`${label} added: ${VARIANTS[name].title}`, 'µs', added));
    }
  }
  for (const name of VARIANT_NAMES) await servers[name].stop();
  receiver.close();
}

/** Microseconds from just before the write of each chunk to its arrival. */
async function agesOf(port: number, chunks: number): Promise<readonly number[]> {
  const ages: number[] = [];
  const connection = await connectTo(port);
  await connection.read(`/stamped/${chunks}`, (data) => ages.push(...agesUs(data)));
  connection.close();
  if (ages.length !== chunks) throw new Error(`${ages.length} of ${chunks} chunks came`);
  return ages;
}
