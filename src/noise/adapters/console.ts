/**
 * `lastchunk/console`: lowers noise from `console.error` and `console.warn` to `console.debug`. For apps that log to the console, and
 * for Express, which prints unhandled errors there. Installed only when the app calls it; drops no line.
 */
import { followStreams } from '../../core/current-stream.ts';
import { fieldsOf, noiseIn } from './line.ts';

/** A console, as far as it is used here. */
export type ConsoleLike = Pick<Console, 'debug' | 'error' | 'warn'>;

const LOWERED = ['error', 'warn'] as const;

type Print = (this: unknown, ...args: readonly unknown[]) => void;

/** What `lowerConsoleNoise` returns. */
export interface LoweredConsole {
  /** Restores the original methods; a method that other code has wrapped since stays, and lowers nothing any more. */
  uninstall(): void;
}

/** Patches `target`; default: the global console. A lowered call gets one more argument, an object with the reason. */
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
