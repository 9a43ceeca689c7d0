/**
 * `lastchunk/console`: lowers what is noise from `console.error` and `console.warn` to `console.debug`. For apps whose
 * log is the console, and for Express, which prints what nobody handled there. Only on request, and never swallows.
 */
import { followStreams } from '../../core/current-stream.ts';
import { fieldsOf, noiseIn } from './line.ts';

/** A console, as far as it is used here. */
export type ConsoleLike = Pick<Console, 'debug' | 'error' | 'warn'>;

const LOWERED = ['error', 'warn'] as const;

type Print = (this: unknown, ...args: readonly unknown[]) => void;

/** What `lowerConsoleNoise` returns. */
export interface LoweredConsole {
  /** Puts the original methods back; where somebody else has wrapped ours since, ours does nothing more. */
  uninstall(): void;
}

/** Patches `target`, the global console unless given. A lowered call gets one argument more, with why. */
export function lowerConsoleNoise(target: ConsoleLike = console): LoweredConsole {
  followStreams();
  let active = true;
  const undo = LOWERED.map((level) => {
    const original: Print = target[level];
    const patched: Print = function patched(this: unknown, ...args) {
      const found = active ? noiseIn(args) : undefined;
      if (found === undefined) return Reflect.apply(original, this, args);
      return target.debug(...args, fieldsOf(found));
    };
    target[level] = patched;
    return (): void => {
      if (target[level] === patched) target[level] = original;
    };
  });
  return {
    uninstall: () => {
      active = false;
      for (const restore of undo) restore();
    },
  };
}
