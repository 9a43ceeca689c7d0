/** Engines that fail while instances live: stopped, cut off after a commit, behind a pooler whose connections are killed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import type { Bench } from '../bench.ts';
import { killConnections } from '../database.ts';
import { startPgBouncer } from '../pgbouncer.ts';
import type { Engine, Fleet } from './fleet.ts';
import { readAtRandom } from './readers.ts';
import { drawMixed, withFleet, type World } from './world.ts';

/** Instances that are lost while answers are. */
const LOSSES = 4;

/** Longer than a lease: by then every instance that lives has registered again. */
const REGISTERED_MS = 2_500;

/**
 * The engine crashes while streams run, which go on, and none is lost. When it is back the instances send it what it lacks. Then it
 * crashes a second time, and an instance is killed with its disk after the others had time to send their streams again.
 */
export async function away({ bench, fleet, streams }: World): Promise<void> {
  const half = Math.ceil(streams / 2);
  const drawn = drawMixed(bench, half, {});
  const over = fleet.run(drawn);
  await bench.tokens(drawn, half * 5);
  await fleet.stopEngine();
  await bench.tokens(drawn, half * 15);
  await fleet.startEngine();
  await readAtRandom(bench, fleet, drawn, over);
  await bench.settled();
  const others = drawMixed(bench, half, { mayBeInterrupted: true, gapMs: [60, 120] });
  const running = fleet.run(others);
  await bench.tokens(others, half * 3);
  await fleet.stopEngine();
  await sleep(bench.random.int(0, 1_000));
  await fleet.startEngine();
  await sleep(REGISTERED_MS);
  await loseFirst(fleet);
  await running;
}

/**
 * The engine carries out a call, and its answer is lost: an exchange that is sent twice is stored once. Instances are lost meanwhile, so that
 * claims may be among these calls.
 */
export async function cut(bench: Bench, streams: number, engine: Engine): Promise<void> {
  let proxy: TcpProxy | undefined;
  const through = async (port: number): Promise<number> => {
    proxy = await startTcpProxy(port);
    return proxy.port;
  };
  try {
    await withFleet(bench, { engine, through }, async (fleet) => {
      const drawn = drawMixed(bench, streams, { mayBeInterrupted: true, gapMs: [60, 120] });
      let running = true;
      const over = fleet.run(drawn).finally(() => (running = false));
      const cutting = async (): Promise<void> => {
        for (let times = 0; running; times += 1) {
          proxy?.loseAnswers();
          await sleep(bench.random.int(0, 60));
          proxy?.cut();
          proxy?.resume();
          await sleep(bench.random.int(0, 600));
          if (times % 4 !== 2 || times >= 4 * LOSSES) continue;
          await fleet.lose(bench.random.pick(fleet.oneOrMore));
        }
      };
      await readAtRandom(bench, fleet, drawn, Promise.all([over, cutting()]));
      await bench.settled();
    });
  } finally {
    await proxy?.close();
  }
}

/** Store and relay through a pooler in transaction mode; its connections are killed, and then an instance with its disk. */
export async function pooled(bench: Bench, streams: number): Promise<void> {
  const bouncer = await startPgBouncer(bench.server.port);
  try {
    const { port } = bouncer;
    const options = { engine: 'postgres', storePort: port, through: async () => port } as const;
    await withFleet(bench, options, async (fleet) => {
      const drawn = drawMixed(bench, streams, { mayBeInterrupted: true });
      const over = fleet.run(drawn);
      await bench.tokens(drawn, streams * 4);
      for (let times = 0; times < 20; times += 1) await killConnections(bench);
      await loseFirst(fleet);
      await readAtRandom(bench, fleet, drawn, over);
    });
  } finally {
    await bouncer.stop();
  }
}

async function loseFirst(fleet: Fleet): Promise<void> {
  const [app] = fleet.oneOrMore;
  await fleet.lose(app);
}
