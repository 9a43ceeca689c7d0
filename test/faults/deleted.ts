/** Somebody deletes the journal's directory while streams run, as cleaners of temporary files do. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from './fault.ts';

/** It is made again, with everything that memory and the open files still have. */
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
