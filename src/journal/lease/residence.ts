/**
 * Where the journal lives: the home it has now, and what happens when that turns out to be somebody else's.
 */
import type { Condition } from '../degraded.ts';
import { troubleOf } from '../degraded.ts';
import { openHome } from './owner-directory.ts';
import type { Home } from './owner-directory.ts';
import type { Log } from '../stream-log.ts';
import type { Segments } from '../segments.ts';
import type { Writer } from '../writer.ts';

export interface Residence {
  /** `undefined` while no directory can be had. */
  readonly home: () => Home | undefined;
  /** Where new files go. Throws when there is no home. */
  readonly directory: () => string;
  /** Opens a home. Throws what the disk throws. */
  readonly start: () => void;
  /** Opens a home when there is none, or when it was taken over. Rejects with what the disk says. */
  readonly ensure: () => Promise<void>;
  /** Another process thinks that we are dead, and our directory is its now. */
  readonly leave: () => void;
  /** Says that we live. False when the home is not ours any more. Never rejects. */
  renew(): Promise<boolean>;
}

export interface ResidenceOptions {
  readonly path: string;
  readonly onError: (error: unknown) => void;
  /** A home was opened. */
  readonly onHome: () => void;
  /** These logs are on the disk only, so they are the other process's now. */
  readonly onGone: (gone: readonly Log[]) => void;
  /** The parts that write into the home; they are made after it. */
  readonly parts: () => {
    readonly condition: Condition;
    readonly segments: Segments;
    readonly writer: Writer;
  };
}

export function createResidence(options: ResidenceOptions): Residence {
  const { path, onError } = options;
  let home: Home | undefined;

  const start = (): void => {
    home = openHome(path);
    options.onHome();
  };
  const leave = (): void => {
    const left = home;
    home = undefined;
    const { condition, segments, writer } = options.parts();
    options.onGone(abandonLogs(writer));
    segments.forget(false);
    left?.abandon().catch(onError);
    try {
      start();
    } catch (error) {
      onError(error);
      condition.block(troubleOf(error));
    }
  };
  return {
    home: () => home,
    directory() {
      if (home === undefined) throw new Error('the journal has no directory');
      return home.directory;
    },
    start,
    leave,
    async ensure() {
      if (home === undefined) start();
      else if (!(await home.isMine())) leave();
    },
    async renew() {
      try {
        if (home === undefined) return true;
        if (!(await home.isMine())) return false;
        return await home.renew();
      } catch (error) {
        onError(error);
      }
      return true;
    },
  };
}

/** What memory holds will be written again; the rest is returned, and is ours no more. */
function abandonLogs(writer: Writer): Log[] {
  const gone: Log[] = [];
  for (const log of Array.from(writer.members)) {
    if (log.body === undefined) gone.push(log);
    writer.forget(log);
    if (log.body !== undefined) writer.distrust(log);
  }
  return gone;
}
