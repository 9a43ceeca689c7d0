/** The option `relay` of `lastchunk()`, checked once and made whole; and what an instance reports of its relay. */
import { bad, flag, optionGroup, refuseUnknown, show, wholeNumber } from '../core/options.ts';
import { isObject } from '../core/values.ts';
import type { Relay } from './port.ts';

/** How a relay is used. */
export interface RelayOptions {
  /** What `postgresRelay()` or `redisRelay()` returned, or an engine of your own. */
  readonly engine: Relay;
  /** How often what streams have gained is told: what a lost process and disk can cost. Default 250 ms, 10 to 5 000. */
  readonly flushMs?: number | undefined;
  /** An instance that says nothing for so long has its streams finished by another. Default 15 000 ms, 2 000 to 600 000. */
  readonly leaseMs?: number | undefined;
  /** So long a stream can be resumed after its end. Default 300 000 ms, 1 000 to 86 400 000. */
  readonly retainMs?: number | undefined;
  /**
   * Bytes of a stream leave when the engine has them, about one round trip later; while it is away they leave at once. Then a lost
   * process and disk cost nothing of what a client saw. Default false.
   */
  readonly ahead?: boolean | undefined;
}

/** The option `relay`: an engine, or an engine and how it is used. */
export type RelayOption = Relay | RelayOptions;

/** Every default in place. */
export interface RelaySettings {
  readonly engine: Relay;
  readonly flushMs: number;
  readonly leaseMs: number;
  readonly retainMs: number;
  readonly ahead: boolean;
}

/** What health and metrics are told. */
export interface RelayReport {
  /** The last exchange worked, and none is overdue. */
  readonly isUp: boolean;
  /** Milliseconds since everything that was there had been told; 0 while nothing waits. */
  readonly lagMs: number;
  /** Streams that the engine is being told of. */
  readonly streams: number;
  /** Bytes of ended bodies that are kept until the engine has them, 64 MiB at most. */
  readonly endedBytes: number;
  /** Ended streams that were more than is kept, so that the engine is never told of them, since the start. */
  readonly dropped: number;
  /** With `ahead`: streams of which bytes left before the engine had them, since the start. */
  readonly unconfirmed: number;
}

const METHODS: readonly (keyof Relay)[] = [
  'exchange',
  'find',
  'read',
  'command',
  'claim',
  'settled',
  'purge',
  'close',
];

/** Throws `bad-option` for what is neither; `undefined` where there is no relay. */
export function resolveRelayOption(option: RelayOption | undefined): RelaySettings | undefined {
  if (option === undefined) return undefined;
  const given = isRelay(option) ? { engine: option } : optionGroup('relay', option);
  refuseUnknown('`relay`', given, ['engine', 'flushMs', 'leaseMs', 'retainMs', 'ahead']);
  const { engine } = given;
  if (!isRelay(engine)) {
    throw bad(
      `\`relay\` must be what postgresRelay() or redisRelay() returned, or { engine, … }, not ${show(option)}`,
    );
  }
  const ms = (name: keyof RelayOptions, fallback: number, min: number, max: number): number =>
    wholeNumber(`relay.${name}`, given[name], { min, max, fallback });
  return {
    engine,
    flushMs: ms('flushMs', 250, 10, 5_000),
    leaseMs: ms('leaseMs', 15_000, 2_000, 600_000),
    retainMs: ms('retainMs', 300_000, 1_000, 86_400_000),
    ahead: flag('relay.ahead', given['ahead'], false),
  };
}

function isRelay(value: unknown): value is Relay {
  if (!isObject(value)) return false;
  const methods: Partial<Relay> = value;
  return METHODS.every((name) => typeof methods[name] === 'function');
}
