/** The disk of the journal fills up while streams run, and later has free space again. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from './fault.ts';
import { waitUntil } from './wait.ts';

/** Space for little more than one segment; the streams of a run write many times as much. */
const SIZE = '16m';

/** Streams continue in memory, a metric reports it, and the journal recovers by itself. */
export const full: Fault = {
  name: 'disk-full',
  title: "the journal's disk fills up",
  impossible: () => (process.getuid?.() === 0 ? undefined : 'only root may mount a small disk'),
  run: async (bench, streams) => {
    const disk = join(bench.directory, 'disk');
    const ballast = join(disk, 'ballast');
    mkdirSync(disk, { recursive: true });
    mkdirSync(bench.journal, { recursive: true });
    if (!mount(disk)) throw new Error(`cannot mount a tmpfs of ${SIZE}`);
    try {
      const app = await bench.app({ journal: join(disk, 'journal') });
      const degraded = (): Promise<number | undefined> =>
        bench.metric(app, 'lastchunk_journal_degraded');
      const third = Math.ceil(streams / 3);
      const before = bench.draw(third);
      const filling = bench.run(app, before);
      await bench.tokens(before, third * 5);
      fill(ballast);
      await filling;
      // Filled again while streams write, because the journal frees space where it can.
      const during = bench.run(app, bench.draw(third));
      await waitUntil('the journal says that it is degraded', async () => {
        fill(ballast);
        return (await degraded()) === 1;
      });
      await during;
      await bench.settled();
      rmSync(ballast);
      await waitUntil('the journal has healed', async () => (await degraded()) === 0);
      await bench.run(app, bench.draw(third));
      await bench.settled();
      await app.close();
    } finally {
      spawnSync('umount', ['-l', disk]);
    }
  },
};

function mount(directory: string): boolean {
  const args = ['-t', 'tmpfs', '-o', `size=${SIZE},mode=0700`, 'tmpfs', directory];
  return spawnSync('mount', args, { stdio: 'ignore' }).status === 0;
}

/** Writes until the disk is full. */
function fill(path: string): void {
  for (let size = 1 << 20; size > 0; size >>= 1) {
    try {
      for (;;) appendFileSync(path, Buffer.alloc(size));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
    }
  }
}
