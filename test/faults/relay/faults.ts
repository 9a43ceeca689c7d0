/** Instances whose disks go with them: killed, stopped past their lease, replaced one by one, read by many. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { App } from '../app.ts';
import type { Bench } from '../bench.ts';
import type { Conversation } from '../conversation.ts';
import type { Fault } from '../fault.ts';
import { hasPgBouncer } from '../pgbouncer.ts';
import { waitUntil } from '../wait.ts';
import { away, cut, pooled } from './engine-faults.ts';
import { type Fleet, UNTOLD_MS, withoutEngine, type Engine } from './fleet.ts';
import { checkReadings, readAtRandom, readFrom, type Reading } from './readers.ts';
import { arrived, drawMixed, SLOW, withFleet, type World } from './world.ts';

/** All of them, over one engine. */
export function relayFaults(engine: Engine): readonly Fault[] {
  const name = engine === 'postgres' ? 'PostgreSQL' : 'Redis';
  const of = (kind: string, title: string, run: Fault['run'], more?: Partial<Fault>): Fault => ({
    name: `relay-${engine}-${kind}`,
    title: `relay in ${name}: ${title}`,
    impossible: () => withoutEngine(engine),
    neededInCi: true,
    run,
    ...more,
  });
  const inFleet =
    (act: (world: World) => Promise<void>): Fault['run'] =>
    (bench, streams) =>
      withFleet(bench, { engine }, (fleet) => act({ bench, fleet, streams }));
  const mayBeUnconfirmed = { mayBeUnconfirmed: true } as const;
  return [
    of('killed', 'instances and disks gone', inFleet(killed)),
    of('away', 'engine crashes', inFleet(away), mayBeUnconfirmed),
    of('cut', 'engine loses answers', (bench, streams) => cut(bench, streams, engine)),
    of('frozen', 'owner stopped past its lease', inFleet(frozen), mayBeUnconfirmed),
    of('rolling', 'every instance replaced under load', inFleet(rolling)),
    of('readers', '200 readers on one stream', inFleet(manyReaders)),
    ...(engine === 'postgres'
      ? [
          of('pooled', 'through PgBouncer', pooled, {
            impossible: () => (hasPgBouncer() ? undefined : 'there is no program pgbouncer'),
          }),
        ]
      : []),
  ];
}

/** Killed at random moments, one after the other, with their disks, while others read on everywhere. */
async function killed({ bench, fleet, streams }: World): Promise<void> {
  const drawn = drawMixed(bench, streams, { mayBeInterrupted: true });
  const over = fleet.run(drawn);
  await readAtRandom(
    bench,
    fleet,
    drawn,
    Promise.all([over, loseWhile(over, bench, fleet, drawn)]),
  );
}

async function loseWhile(
  over: Promise<void>,
  bench: Bench,
  fleet: Fleet,
  drawn: readonly Conversation[],
): Promise<void> {
  let running = true;
  void over.finally(() => (running = false));
  for (let losses = 0; running || losses === 0; losses += 1) {
    const until = arrived(drawn) + bench.random.int(100, 800);
    await waitUntil('some more has arrived', () => !running || arrived(drawn) >= until);
    await sleep(bench.random.int(0, 500));
    const app = fleet.apps[bench.random.int(0, fleet.apps.length - 1)];
    if (app !== undefined) await fleet.lose(app);
  }
}

/** It is taken for dead, and its streams are saved as they are known; when it goes on, the better rows are there. */
async function frozen({ bench, fleet, streams }: World): Promise<void> {
  const [owner] = fleet.apps;
  if (owner === undefined) throw new Error('a fleet has instances');
  const drawn = drawMixed(bench, streams, { gapMs: [80, 160] });
  const over = fleet.run(drawn, 200);
  // Of one that it has only just begun nobody else has heard.
  const told = (): Conversation[] =>
    fleet
      .of(owner)
      .filter(({ tape }) => (tape?.lengthAt(performance.now() - UNTOLD_MS) ?? 0) > 0)
      .filter(({ sawFinish }) => !sawFinish);
  await waitUntil('many of its streams are known elsewhere', () => told().length * 12 >= streams);
  await fleet.waitUntilSent(owner);
  const before = await storedIds(bench);
  owner.freeze();
  const own = told().filter(({ id }) => !before.has(id));
  bench.check(own.length > 0, 'none of its streams was live when it was stopped');
  try {
    await waitUntil('others have saved its streams', async () => {
      const stored = await storedIds(bench);
      return own.every(({ id }) => stored.has(id));
    });
  } finally {
    owner.thaw();
  }
  await over;
  bench.tell(`${own.length} streams were saved by others while their owner was stopped, and by it`);
}

async function storedIds(bench: Bench): Promise<ReadonlySet<string | null>> {
  return new Set((await bench.rows()).map((row) => row.conversation_id));
}

/** As a rolling update does: SIGTERM, an empty disk, the next one. */
async function rolling({ bench, fleet, streams }: World): Promise<void> {
  const drawn = drawMixed(bench, streams, { mayBeInterrupted: true });
  let running = true;
  const over = fleet.run(drawn).finally(() => (running = false));
  const replacing = async (): Promise<void> => {
    for (const app of fleet.apps) {
      const until = arrived(drawn) + 300;
      await waitUntil('some more has arrived', () => !running || arrived(drawn) >= until);
      await replace(bench, fleet, app);
    }
  };
  await readAtRandom(bench, fleet, drawn, Promise.all([over, replacing()]));
}

async function replace(bench: Bench, fleet: Fleet, app: App): Promise<void> {
  const { code, closed } = await app.close();
  bench.check(code === 0 && closed?.lost === 0, `close(): ${code} ${JSON.stringify(closed)}`);
  fleet.removeDisk(app);
  await app.start();
}

/** On three instances, from everywhere; half of them break off and go on elsewhere. */
async function manyReaders({ bench, fleet, streams }: World): Promise<void> {
  const [one] = bench.draw(1, { ...SLOW, gapMs: [100, 100], times: 20, stays: true });
  if (one === undefined) throw new Error('one was drawn');
  const others = bench.draw(streams, SLOW);
  const over = Promise.all([fleet.run([one], 1), fleet.run(others, 20)]);
  // Until its engine has heard of it, a stream is known to its own instance alone.
  await waitUntil('every instance knows it', async () => {
    if (one.streamId === undefined) return false;
    const first = await Promise.all(fleet.apps.map((app) => readFrom(app, one, 0, 1)));
    return first.every(({ status }) => status === 200);
  });
  const readings = await Promise.all(
    Array.from({ length: 200 }, (_, index) => readInTwo(bench, fleet, one, index)),
  );
  await over;
  checkReadings(bench, readings);
  bench.check(one.tape?.isWhole === true, 'the client of the stream got no regular end');
  for (const { offset, status, bytes, isWhole } of readings) {
    const isAll = one.tape?.bytes.subarray(offset).equals(bytes) === true;
    const got = `${status}, ${bytes.length} bytes${isWhole ? '' : ' and no regular end'}`;
    bench.check(status === 200 && isWhole && isAll, `a reader from ${offset} got ${got}`);
  }
}

async function readInTwo(
  bench: Bench,
  { apps }: Fleet,
  of: Conversation,
  index: number,
): Promise<Reading> {
  const [first, second] = [apps[index % apps.length], apps[(index + 1) % apps.length]];
  if (first === undefined || second === undefined) throw new Error('a fleet has instances');
  const offset = bench.random.int(0, of.tape?.length ?? 0);
  if (index % 2 === 0) return readFrom(first, of, offset);
  const begun = await readFrom(first, of, offset, bench.random.int(1, 500));
  if (begun.status !== 200) return begun;
  const rest = await readFrom(second, of, offset + begun.bytes.length);
  return { ...rest, offset, bytes: Buffer.concat([begun.bytes, rest.bytes]) };
}
