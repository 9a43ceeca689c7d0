/** What is broken in the live run of each picture, and how. */
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startUpstream } from '../../demo/upstream.ts';
import { teach } from '../../deploy/demo/visitors.ts';
import { startLive, type Live } from '../../test/slo/dashboards/live.ts';

/** A system with something to break, and its end. */
export interface Scene {
  readonly live: Live;
  breakIt(): Promise<void> | void;
  close(): Promise<void>;
}

const VOLUME_MB = 24;

/** Each starts a system of its own that is well. */
export const SCENES: Readonly<Record<string, () => Promise<Scene>>> = {
  database: async () => {
    const live = await startLive();
    return { live, breakIt: () => live.database.stop(), close: () => live.close() };
  },
  model: async () => {
    const upstream = await startUpstream();
    teach(upstream);
    const live = await startLive({ upstream: upstream.url });
    return {
      live,
      breakIt: () => teach(upstream, { oneOf: 1 }),
      close: () => closeAll(live, () => upstream.close()),
    };
  },
  disk: async () => {
    const volume = mountVolume();
    const live = await startLive({ journal: join(volume.path, 'journal') });
    let filling: NodeJS.Timeout | undefined;
    return {
      live,
      breakIt: () => {
        filling = setInterval(() => fill(volume.path), 500);
      },
      close: () => {
        clearInterval(filling);
        return closeAll(live, () => volume.unmount());
      },
    };
  },
};

async function closeAll(live: Live, rest: () => void): Promise<void> {
  await live.close();
  rest();
}

/** A small file system on a disk, in a file. Needs root. */
function mountVolume(): { readonly path: string; unmount(): void } {
  const home = mkdtempSync(join(tmpdir(), 'lastchunk-volume-'));
  const [image, path] = [join(home, 'image'), join(home, 'volume')];
  writeFileSync(image, Buffer.alloc(VOLUME_MB * 1024 * 1024));
  mkdirSync(path);
  execFileSync('mkfs.ext4', ['-q', image]);
  execFileSync('mount', ['-o', 'loop', image, path]);
  return {
    path,
    unmount: () => {
      execFileSync('umount', [path]);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Fills what is free, as a neighbour that logs too much; again and again, because the journal gives room back. */
function fill(path: string): void {
  for (let size = 1024 * 1024; size >= 1024;) {
    try {
      appendFileSync(join(path, 'log'), Buffer.alloc(size));
    } catch {
      size /= 2;
    }
  }
}
