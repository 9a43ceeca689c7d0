/** Where the time of a guarded stream goes: the functions with the most self time, as V8's sampler sees them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { readOnce } from '../client.ts';
import { startServer } from '../servers.ts';
import { WITH_JOURNAL } from '../servers/variants.ts';
import type { Bench } from '../part.ts';

const TOP = 10;
const STREAMS = 10;

export async function benchProfile({ built, quick, note }: Bench): Promise<void> {
  for (const aTick of [8, 1]) {
    const directory = mkdtempSync(join(tmpdir(), 'lastchunk-bench-'));
    const flags = ['--cpu-prof', `--cpu-prof-dir=${directory}`];
    const server = await startServer(built, 'variant', { args: [WITH_JOURNAL], flags });
    for (let one = 0; one < (quick ? 1 : STREAMS); one++) {
      await readOnce(server.port, `/stream/20000/${aTick}`);
    }
    await server.stop();
    note(`guard(), journal every tick, ${aTick} a tick, self time without idle`);
    for (const { name, share } of top(directory)) {
      note(`  ${(share * 100).toFixed(1).padStart(5)} %  ${name}`);
    }
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The part of a `.cpuprofile` that is used; documented with the Chrome DevTools protocol, `Profiler.Profile`. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
}

/** Neither work of ours nor of anybody. */
const NO_WORK = ['(idle)', '(program)', '(root)'];

function top(directory: string): readonly { name: string; share: number }[] {
  // The process has workers of its loader, too; the server's profile is the largest.
  const texts = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
  const largest = texts.toSorted((a, b) => b.length - a.length)[0] ?? '{}';
  // Written by V8 in this format.
  const { nodes, samples } = JSON.parse(largest) as Profile;
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      `${functionName || '(anonymous)'} ${url === '' ? '' : `${basename(url)}:${lineNumber + 1}`}`.trimEnd(),
    ]),
  );
  const counts = new Map<string, number>();
  let total = 0;
  for (const sample of samples) {
    const name = names.get(sample) ?? '';
    if (NO_WORK.includes(name)) continue;
    counts.set(name, (counts.get(name) ?? 0) + 1);
    total += 1;
  }
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .slice(0, TOP)
    .map(([name, count]) => ({ name, share: count / total }));
}
