/**
 * Tries to be well again: a directory that can be written, a record that reaches the disk. Only then are streams
 * written to the journal again, first those that are not whole.
 */
import type { Batch } from './batch.ts';
import { troubleOf } from './degraded.ts';
import type { Condition } from './degraded.ts';
import type { Files } from './files.ts';
import { Log } from './stream-log.ts';
import type { LogHost } from './stream-log.ts';
import { KIND } from './record.ts';
import type { Segments } from './segments.ts';
import type { Syncer } from './fsync.ts';

/** A block of most file systems: a disk that takes less takes nothing. */
const PROBE = Buffer.alloc(4096);

/** A probe that takes longer says that the disk is still slow. */
const SLOW_PROBE_MS = 50;

export function createHealer(parts: {
  readonly batch: Batch;
  readonly condition: Condition;
  readonly files: Files;
  readonly segments: Segments;
  readonly syncer: Syncer;
  /** Makes the directory when there is none. Rejects with what the disk says. */
  readonly ensureHome: () => Promise<void>;
  readonly onError: (error: unknown) => void;
}): () => Promise<void> {
  const { batch, condition, files, segments, syncer } = parts;
  const probeLog = new Log(NO_HOST, {
    number: 0,
    opening: undefined,
    body: { pieces: [] },
    ahead: false,
  });

  /** False when the disk did not take it; the condition knows then. */
  const probe = async (): Promise<boolean> => {
    batch.put(probeLog, KIND.probe, PROBE);
    const place = batch.lastPlace();
    const taken = batch.finish();
    const { extents } = probeLog;
    probeLog.extents = [];
    segments.release(probeLog, extents, 0);
    if (!taken || place === undefined) return false;
    if (batch.takeSpentMs() > SLOW_PROBE_MS) {
      condition.block('slow');
      return false;
    }
    await files.sync(place.segment.fd);
    return true;
  };

  return async () => {
    try {
      await parts.ensureHome();
      syncer.sweep();
      // Whatever made the last write fail may stick to its file.
      segments.seal();
      if (!(await probe())) return;
      condition.unblock();
      // The round writes the stale streams again and fsyncs them.
      await syncer.request();
      condition.review();
    } catch (error) {
      parts.onError(error);
      condition.block(troubleOf(error));
    }
  };
}

/** The probe's log is never appended to. */
const NO_HOST: LogHost = {
  enqueue: () => {},
  flush: () => {},
  reopen: () => {},
  discard: () => {},
};
