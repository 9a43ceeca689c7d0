/** The journal's directory is deleted while streams run, as by a cleaner of temporary files. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from './fault.ts';

/** The journal creates it again, with everything that is in memory and in open files. */
export const deleted: Fault = {
  name: 'journal-deleted',
  title: "the journal's directory is deleted",
  run: async (bench, streams) => {
    const app = await bench.app();
    const half = Math.ceil(streams / 2);
    const before = bench.draw(half);
    const running = bench.run(app, before);
    await bench.tokens(before, half * 5);
    for (const name of readdirSync(bench.journal)) {
      rmSync(join(bench.journal, name), { recursive: true, force: true });
    }
    await running;
    await bench.settled();
    await bench.run(app, bench.draw(half));
    await bench.settled();
    await app.kill();
    await bench.app();
  },
};
