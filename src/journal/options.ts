/**
 * The option `journal`: its type, and its validation at start.
 */
import { resolve } from 'node:path';
import { bad, flag, optionGroup, refuseUnknown, show, wholeNumber } from '../core/options.ts';

/** What an app may give: a path, a path with further settings, or `false` for no journal at all. */
export type JournalOption =
  | string
  | false
  | {
      /** Directory; made when it does not exist. Default `./.lastchunk`. */
      readonly path?: string;
      /**
       * Names the store that the messages are for, 1 to 128 characters: no other store's process takes them. Default: what
       * `postgres()` makes of host, port, database and table; `own-store` for a store of the app's own.
       */
      readonly name?: string;
      /** Bound of everything in it, from 16 MiB to 1 TiB. Default 1 GiB. */
      readonly maxBytes?: number;
      /**
       * 0 writes at the end of every tick (default). At most 1000: SIGKILL may then lose what clients received in the last `flushMs`
       * milliseconds.
       */
      readonly flushMs?: number;
      /** Longest time between two fsyncs while something is written, 1 to 60 000. Default 100. */
      readonly fsyncMs?: number;
      /** The directory does not outlive the machine or container, and that is known. Default false. */
      readonly ephemeral?: boolean;
    };

/** The option with every default in its place. */
export interface JournalSettings {
  /** Absolute. */
  readonly path: string;
  /** Given by hand: then a directory that cannot be used is an error at start. */
  readonly given: boolean;
  /** Of the store; `undefined` where none is given. */
  readonly name: string | undefined;
  readonly maxBytes: number;
  readonly flushMs: number;
  readonly fsyncMs: number;
  readonly ephemeral: boolean;
}

const KEYS = ['path', 'name', 'maxBytes', 'flushMs', 'fsyncMs', 'ephemeral'];

const DEFAULT_PATH = './.lastchunk';
const MIB = 1024 * 1024;

/** Checks the option; `undefined` when there is to be no journal. Throws `bad-option`, naming the range. */
export function resolveJournalOptions(
  option: JournalOption | undefined,
): JournalSettings | undefined {
  if (option === false) return undefined;
  const options = typeof option === 'string' ? { path: option } : optionGroup('journal', option);
  refuseUnknown('journal', options, KEYS);
  const { path, name } = options;
  if (path !== undefined && (typeof path !== 'string' || path === '' || path.includes('\0'))) {
    throw bad(`\`journal.path\` must be the path of a directory, not ${show(path)}`);
  }
  if (name !== undefined && !isName(name)) {
    throw bad(`\`journal.name\` must be a string of 1 to 128 characters, not ${show(name)}`);
  }
  return {
    // Now: the process may change its working directory.
    path: resolve(path ?? DEFAULT_PATH),
    given: path !== undefined,
    name,
    maxBytes: wholeNumber('journal.maxBytes', options['maxBytes'], {
      min: 16 * MIB,
      max: MIB * MIB,
      fallback: 1024 * MIB,
    }),
    flushMs: wholeNumber('journal.flushMs', options['flushMs'], { min: 0, max: 1000, fallback: 0 }),
    fsyncMs: wholeNumber('journal.fsyncMs', options['fsyncMs'], {
      min: 1,
      max: 60_000,
      fallback: 100,
    }),
    ephemeral: flag('journal.ephemeral', options['ephemeral'], false),
  };
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length >= 1 && value.length <= 128;
}
