/**
 * Watches the app's own pools: how full they are, and which line of the app takes connections and does not release them in time. The usual
 * cause of an exhausted pool is a connection that is held while a model generates an answer.
 *
 * `pg` itself is not changed. `connect` is replaced on the given pool only, because only there the caller that takes a client is known.
 * `unwatch` restores it.
 */
import type { EventEmitter } from 'node:events';
import { followStreams } from '../core/current-stream.ts';
import type { Observer, PoolFinding } from '../core/observer.ts';
import { bad, optionGroup, refuseUnknown, show, wholeNumber } from '../core/options.ts';
import type { PgPoolClient } from '../core/pg-shapes.ts';
import { isObject } from '../core/values.ts';
import { replaceConnect, type WatchedPool } from './connect.ts';
import { Leases } from './lease.ts';
import { HeldByStreams, type Holding } from './streams.ts';
import { sharedState } from '../core/shared-state.ts';

export type { WatchedPool };

/** Options of `watchPool()`. */
export interface WatchPoolOptions {
  /** Label of its series: letters, digits, `_` and `-`, at most 40; every pool its own. */
  readonly name: string;
  /** A client that is out for longer is reported; default 10 000 ms, 10 to 86 400 000. */
  readonly heldMs?: number;
}

/** What a pool is doing now. */
export interface WatchedGauges {
  readonly name: string;
  readonly total: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
}

/** A watched pool, and which lines of the app have its clients now. */
export interface WatchedUse extends WatchedGauges {
  /** The longest first, at most 10. */
  readonly holders: readonly PoolHolder[];
}

/** Clients that one line of the app has now. */
export interface PoolHolder {
  /** `file:line`, or `unknown`. */
  readonly place: string;
  readonly clients: number;
  /** Of the one that is out longest. */
  readonly heldSeconds: number;
  /** Of the stream whose handler has it, if one has. */
  readonly route: string | undefined;
}

/** Every pool that is watched, by whichever instance. */
const pools = sharedState('pools', () => new WeakSet<WatchedPool>());

/** The watched pools of one instance. */
export class PoolWatch {
  readonly #onWatched: (pool: string) => void;
  readonly #onFinding: (finding: PoolFinding) => void;
  readonly #watched = new Map<string, Watching>();
  /** Names of pools that are not watched any more: a gauge must not stay where it was. */
  readonly #ended = new Set<string>();
  readonly #streams: HeldByStreams;

  constructor(tell: {
    readonly onWatched: (pool: string) => void;
    readonly onFinding: (finding: PoolFinding) => void;
  }) {
    this.#onWatched = tell.onWatched;
    this.#onFinding = tell.onFinding;
    this.#streams = new HeldByStreams((holding, { route }) => {
      if (!holding.told) this.#tell(holding, 'across-stream', route);
    });
  }

  /** Has to hear of the instance's streams. */
  get observer(): Observer {
    return this.#streams;
  }

  /** Throws `bad-option`. Returns what ends the watching. */
  watch(pool: WatchedPool, options: WatchPoolOptions): () => void {
    const { name, heldMs } = checkWatchOptions(pool, options, [...this.#watched.keys()]);
    if (pools.has(pool)) throw bad(`this pool is watched already; ${name} would count it twice`);
    pools.add(pool);
    followStreams();
    const watching = startWatching({ pool, name, heldMs, tell: this.#events() });
    this.#watched.set(name, watching);
    this.#ended.delete(name);
    this.#onWatched(name);
    return () => {
      watching.stop();
      if (this.#watched.get(name) !== watching) return;
      this.#watched.delete(name);
      this.#ended.add(name);
    };
  }

  gauges(): readonly WatchedGauges[] {
    return [
      ...[...this.#watched.values()].map((one) => one.gauges()),
      ...[...this.#ended].map((name) => ({ name, total: 0, idle: 0, waiting: 0, max: 0 })),
    ];
  }

  /** Who has clients of which pool now. */
  uses(): readonly WatchedUse[] {
    return [...this.#watched.values()].map((one) => ({
      ...one.gauges(),
      holders: holdersOf(one.out(), (holding) => this.#streams.streamOf(holding)?.route),
    }));
  }

  /** Ends the watching of all. */
  close(): void {
    for (const watching of this.#watched.values()) watching.stop();
    this.#watched.clear();
  }

  #events(): WatchEvents {
    const streams = this.#streams;
    return {
      onTaken: (holding) => streams.recordTaken(holding),
      onReleased: (holding) => streams.recordReleased(holding),
      onLong: (holding) => {
        const stream = streams.streamOf(holding);
        this.#tell(holding, stream === undefined ? 'long' : 'across-stream', stream?.route);
      },
      onLost: (holding) => this.#tell(holding, 'leaked'),
    };
  }

  #tell(holding: Holding, kind: PoolFinding['kind'], route?: string): void {
    holding.told = true;
    const { pool, place, takenAt } = holding;
    const heldMs = performance.now() - takenAt;
    this.#onFinding({ pool, kind, place: String(place), heldMs, route });
  }
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
  /** What is out, the longest first. */
  out(): Iterable<Holding>;
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
  const leases = new Leases();
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
    out: () => out.values(),
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

/** By line of the app; in the order in which the first client of each was taken. */
function holdersOf(
  out: Iterable<Holding>,
  routeOf: (holding: Holding) => string | undefined,
): PoolHolder[] {
  const now = performance.now();
  const byPlace = new Map<string, PoolHolder>();
  for (const holding of out) {
    const place = String(holding.place);
    const known = byPlace.get(place);
    const heldSeconds = (now - holding.takenAt) / 1000;
    if (known !== undefined) byPlace.set(place, { ...known, clients: known.clients + 1 });
    else byPlace.set(place, { place, clients: 1, heldSeconds, route: routeOf(holding) });
  }
  return [...byPlace.values()].slice(0, HOLDERS_AT_MOST);
}

/** Lines of the app that are told of one pool. */
const HOLDERS_AT_MOST = 10;

function countsOf(pool: WatchedPool): Omit<WatchedGauges, 'name'> {
  const { totalCount: total, idleCount: idle, waitingCount: waiting } = pool;
  // Where `pg.Pool` keeps its options; its default is 10.
  const { options } = pool as { readonly options?: { readonly max?: number } };
  return { total, idle, waiting, max: options?.max ?? 10 };
}

/** More series than this are an accident. */
const POOLS_MAX = 10;

/** Names that are taken: the guard's own pool, and what a bounded label overflows into. */
const RESERVED: ReadonlySet<string> = new Set(['lastchunk', 'other']);

/** Throws `bad-option`. `watched` are the names that are taken. */
function checkWatchOptions(
  pool: unknown,
  options: WatchPoolOptions,
  watched: readonly string[],
): { readonly name: string; readonly heldMs: number } {
  const given = optionGroup('options', options);
  refuseUnknown('watchPool()', given, ['name', 'heldMs']);
  const { name } = given;
  if (typeof name !== 'string' || !/^[\w-]{1,40}$/.test(name) || RESERVED.has(name)) {
    const names = [...RESERVED].join(', ');
    throw bad(
      `\`name\` must be 1 to 40 of letters, digits, _ and -, not ${show(name)} (nor ${names})`,
    );
  }
  if (watched.includes(name))
    throw bad(`\`name\` must differ from pool to pool; ${name} is watched already`);
  if (watched.length >= POOLS_MAX) throw bad(`watchPool() watches at most ${POOLS_MAX} pools`);
  if (!isPool(pool)) throw bad('watchPool() needs a pg.Pool');
  const range = { min: 10, max: 86_400_000, fallback: 10_000 };
  return { name, heldMs: wholeNumber('heldMs', given['heldMs'], range) };
}

function isPool(pool: unknown): boolean {
  if (!isObject(pool)) return false;
  return 'connect' in pool && 'on' in pool && 'totalCount' in pool && 'waitingCount' in pool;
}
