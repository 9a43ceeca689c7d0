/**
 * The watcher of the app's own pools: how full they are, and which line of the app takes connections and does not give
 * them back in time. A connection that is held while a model writes is the usual way to run a pool dry.
 *
 * Of `pg` nothing is changed. On the pool that is given, and on no other, `connect` is replaced: it is the only
 * place that knows who takes a client. `unwatch` puts it back.
 */
import type { EventEmitter } from 'node:events';
import { followStreams } from '../core/current-stream.ts';
import type { Observer, PoolFinding } from '../core/observer.ts';
import { bad } from '../core/options.ts';
import type { PgPoolClient } from '../core/pg-shapes.ts';
import { replaceConnect } from './connect.ts';
import { createLeases } from './lease.ts';
import { checkWatchOptions, type WatchedPool, type WatchPoolOptions } from './options.ts';
import { createHeldByStreams, type Holding } from './streams.ts';

/** What a pool is doing now. */
export interface WatchedGauges {
  readonly name: string;
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
}

/** The watched pools of one instance. */
export interface PoolWatch {
  /** Throws `bad-option`. Returns what ends the watching. */
  watch(pool: WatchedPool, options: WatchPoolOptions): () => void;
  gauges(): readonly WatchedGauges[];
  /** Has to hear of the instance's streams. */
  readonly observer: Observer;
  /** Ends the watching of all. */
  close(): void;
}

/** Every pool that is watched, by whichever instance. */
const pools = new WeakSet<WatchedPool>();

export interface PoolWatchOptions {
  readonly onWatched: (pool: string) => void;
  readonly onFinding: (finding: PoolFinding) => void;
}

export function createPoolWatch({ onWatched, onFinding }: PoolWatchOptions): PoolWatch {
  const watched = new Map<string, Watching>();
  /** Names of pools that are not watched any more: a gauge must not stay where it was. */
  const ended = new Set<string>();
  const tell = (holding: Holding, kind: PoolFinding['kind'], route?: string): void => {
    holding.told = true;
    const { pool, place, takenAt } = holding;
    onFinding({ pool, kind, place: String(place), heldMs: performance.now() - takenAt, route });
  };
  const streams = createHeldByStreams((holding, { route }) => {
    if (!holding.told) tell(holding, 'across-stream', route);
  });
  const events: WatchEvents = {
    onTaken: (holding) => streams.taken(holding),
    onReleased: (holding) => streams.released(holding),
    onLong: (holding) => {
      const stream = streams.streamOf(holding);
      tell(holding, stream === undefined ? 'long' : 'across-stream', stream?.route);
    },
    onLost: (holding) => tell(holding, 'leaked'),
  };
  return {
    observer: streams,
    watch(pool, options) {
      const { name, heldMs } = checkWatchOptions(pool, options, [...watched.keys()]);
      if (pools.has(pool)) throw bad(`this pool is watched already; ${name} would count it twice`);
      pools.add(pool);
      followStreams();
      const watching = startWatching({ pool, name, heldMs, tell: events });
      watched.set(name, watching);
      ended.delete(name);
      onWatched(name);
      return () => {
        watching.stop();
        if (watched.get(name) !== watching) return;
        watched.delete(name);
        ended.add(name);
      };
    },
    gauges: () => [
      ...[...watched.values()].map((one) => one.gauges()),
      ...[...ended].map((name) => ({ name, total: 0, idle: 0, waiting: 0, max: 0 })),
    ],
    close() {
      for (const watching of watched.values()) watching.stop();
      watched.clear();
    },
  };
}

interface WatchEvents {
  readonly onTaken: (holding: Holding) => void;
  readonly onReleased: (holding: Holding) => void;
  /** Out for longer than `heldMs`. */
  readonly onLong: (holding: Holding) => void;
  /** The app has lost it. */
  readonly onLost: (holding: Holding) => void;
}

interface Watching {
  gauges(): WatchedGauges;
  stop(): void;
}

interface WatchingOptions {
  readonly pool: WatchedPool;
  readonly name: string;
  readonly heldMs: number;
  readonly tell: WatchEvents;
}

function startWatching({ pool, name, heldMs, tell }: WatchingOptions): Watching {
  const out = new Map<PgPoolClient, Holding>();
  const leases = createLeases();
  const sweep = createSweep(out, heldMs, tell);
  const released = (client: PgPoolClient): void => {
    const holding = out.get(client);
    if (holding === undefined) return;
    out.delete(client);
    leases.takeBack(client);
    tell.onReleased(holding);
  };
  const onRelease = (_error: unknown, client: PgPoolClient): void => released(client);
  const restore = replaceConnect(pool, leases, (client, taker) => {
    const holding: Holding = { pool: name, takenAt: performance.now(), told: false, ...taker };
    out.set(client, holding);
    tell.onTaken(holding);
    sweep.start();
    return () => {
      if (out.get(client) === holding) tell.onLost(holding);
    };
  });
  // Every `pg.Pool` is one; the typings of its events differ from version to version.
  const events = pool as WatchedPool & EventEmitter;
  events.on('release', onRelease).on('remove', released);
  return {
    gauges: () => ({ name, ...countsOf(pool) }),
    stop() {
      pools.delete(pool);
      restore();
      sweep.stop();
      events.off('release', onRelease).off('remove', released);
      out.clear();
    },
  };
}

/** Looks from time to time at what is out; runs only while something is. */
function createSweep(
  out: ReadonlyMap<PgPoolClient, Holding>,
  heldMs: number,
  { onLong }: WatchEvents,
): { start(): void; stop(): void } {
  const everyMs = Math.min(Math.ceil(heldMs / 4), 1_000);
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    clearInterval(timer);
    timer = undefined;
  };
  const look = (): void => {
    if (out.size === 0) return stop();
    const now = performance.now();
    for (const holding of out.values()) {
      // By now its frames are not kept any longer: they may refer to the very client that the app is going to lose.
      String(holding.place);
      if (!holding.told && now - holding.takenAt >= heldMs) onLong(holding);
    }
  };
  return {
    start() {
      timer ??= setInterval(look, everyMs).unref();
    },
    stop,
  };
}

function countsOf(pool: WatchedPool): Omit<WatchedGauges, 'name'> {
  const { totalCount: total, idleCount: idle, waitingCount: waiting } = pool;
  // Where `pg.Pool` keeps its options; its default is 10.
  const { options } = pool as { readonly options?: { readonly max?: number } };
  return { total, idle, waiting, max: options?.max ?? 10 };
}
