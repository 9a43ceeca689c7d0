/**
 * `lastchunk/pino`: lowers lines about errors that are noise to debug level. It is a `hooks.logMethod`, which gets the error object before
 * serializers convert it to text. Nothing of pino is imported.
 */
import { followStreams } from '../../core/current-stream.ts';
import { fieldsOf, noiseIn } from './line.ts';

/** What is used of a pino logger. */
export interface PinoLogger {
  readonly levels: {
    readonly labels: Readonly<Record<number, string>>;
    readonly values: Readonly<Record<string, number>>;
  };
  child(bindings: object): object;
}

/** pino's `hooks.logMethod`. */
export type PinoLogMethodHook = (
  this: PinoLogger,
  args: unknown[],
  method: (...args: never[]) => void,
  level: number,
) => void;

/** A hook of the app's own: its types are pino's, which are not imported here. */
export type PinoOwnHook = (this: never, args: never, method: never, level: number) => void;

type Write = (this: object, ...args: unknown[]) => void;

/**
 * Creates the hook: `pino({ hooks: { logMethod: noiseHook() } })`. `own` is the app's own hook; it is called once for each line, with the
 * final level of the line.
 *
 * A line is lowered by calling `debug` of the same logger, with the fields `noise`, `noiseReason` and `streamId`: where
 * the logger's level is `info`, it is counted and not printed. A line that is at debug or below keeps its level, and so
 * does every line of a logger that has no level of the name `debug`; they get the fields.
 */
export function noiseHook(own?: PinoOwnHook): PinoLogMethodHook {
  followStreams();
  // True for pino: it calls a hook with these.
  const appHook = own as PinoLogMethodHook | undefined;
  let lowering = false;
  return function lowerNoise(args, method, level) {
    const found = lowering ? undefined : noiseIn(args);
    if (found === undefined) {
      if (appHook === undefined) Reflect.apply(method as Write, this, args);
      else appHook.call(this, args, method, level);
      return;
    }
    // A child, so that pino merges the fields with the arguments, which may be an error, an object or a format.
    const logger = this.child(fieldsOf(found));
    lowering = true;
    try {
      writerOf(logger, lowered(this, level)).apply(logger, args);
    } finally {
      lowering = false;
    }
  };
}

/** The name of the level that a line of this level gets. */
function lowered({ levels }: PinoLogger, level: number): string {
  const debug = levels.values['debug'];
  const own = levels.labels[level];
  return own !== undefined && (debug === undefined || level <= debug) ? own : 'debug';
}

function writerOf(logger: object, label: string): Write {
  // Every level that `levels` names is a method.
  return (logger as Readonly<Record<string, Write>>)[label] ?? ignore;
}

function ignore(): void {
  // A logger without levels, which pino does not make.
}
