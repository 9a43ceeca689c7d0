/** What `watchPool()` is given, and the check of it. */
import { bad, record, refuseUnknown, show, wholeNumber } from '../core/options.ts';
import { isObject } from '../core/values.ts';

/** A `pg.Pool`, as far as it is watched. */
export interface WatchedPool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  connect(...args: never[]): unknown;
}

/** Options of `watchPool()`. */
export interface WatchPoolOptions {
  /** Label of its series: letters, digits, `_` and `-`, at most 40; every pool its own. */
  readonly name: string;
  /** A client that is out for longer is reported; default 10 000 ms, 10 to 86 400 000. */
  readonly heldMs?: number;
}

/** More series than this are an accident. */
const POOLS_MAX = 10;

/** Names that are taken: the guard's own pool, and what a bounded label overflows into. */
const RESERVED: ReadonlySet<string> = new Set(['lastchunk', 'other']);

/** Throws `bad-option`. `watched` are the names that are taken. */
export function checkWatchOptions(
  pool: unknown,
  options: WatchPoolOptions,
  watched: readonly string[],
): { readonly name: string; readonly heldMs: number } {
  const given = record('options', options);
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
