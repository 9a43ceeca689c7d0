/** Validates the option `relay` of `lastchunk()` and fills in defaults; and the type of what an instance reports of its relay. */
import { bad, flag, optionGroup, refuseUnknown, show, wholeNumber } from '../core/options.ts';
import { isObject } from '../core/values.ts';
import type { Relay } from './port.ts';

/** How a relay is used. */
export interface RelayOptions {
  /** What `postgresRelay()` or `redisRelay()` returned, or an engine of your own. */
  readonly engine: Relay;
  /** How often new bytes of streams are sent to the engine: the most that a lost process and disk can cost. Default 250 ms, 10 to 5 000. */
  readonly flushMs?: number | undefined;
  /** After this time without an exchange, another instance finishes the streams of an instance. Default 15 000 ms, 2 000 to 600 000. */
  readonly leaseMs?: number | undefined;
  /** How long a stream can be resumed after its end. Default 300 000 ms, 1 000 to 86 400 000. */
  readonly retainMs?: number | undefined;
  /**
   * Bytes of a stream are sent to the client once the engine has them, about one round trip later; while the engine is unavailable they
   * are sent at once. With it, a lost process and disk lose no byte that a client received. Default false.
   */
  readonly ahead?: boolean | undefined;
}

/** The option `relay`: an engine, or an engine with options. */
export type RelayOption = Relay | RelayOptions;

/** The options with every default filled in. */
export interface RelaySettings {
  readonly engine: Relay;
  readonly flushMs: number;
  readonly leaseMs: number;
  readonly retainMs: number;
  readonly ahead: boolean;
}

/** The state of the relay, for health and metrics. */
export interface RelayReport {
  /** A lease is held, the last exchange succeeded, and it is more recent than `leaseMs`. */
  readonly isUp: boolean;
  /** Milliseconds since the engine last had everything that was there; 0 while nothing waits. */
  readonly lagMs: number;
  /** Streams that are being sent to the engine. */
  readonly streams: number;
  /** Bytes of ended bodies that are kept until the engine has them, 64 MiB at most. */
  readonly endedBytes: number;
  /** Ended streams that were dropped because too many waited; the engine never gets the rest of them. Counted since the start. */
  readonly dropped: number;
  /** With `ahead`: streams of which bytes were sent before the engine had them, since the start. */
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

/** Validates the option. Returns `undefined` where there is no relay; throws `bad-option` for an invalid value. */
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
