/**
 * `lastchunk/winston`: lowers lines about errors that are noise to debug level. It is a format, and must come first among the formats of
 * the logger: `errors()` and `splat()` replace the error by its text, and `colorize()` changes the name of the level. Nothing of winston
 * is imported.
 */
import { followStreams } from '../../core/current-stream.ts';
import { bad, refuseUnknown, show } from '../../core/options.ts';
import { fieldsOf, isError, noiseIn } from './line.ts';

/** The keys of a line for its level and its arguments (`triple-beam`, a package of winston). */
const LEVEL = Symbol.for('level');
const SPLAT = Symbol.for('splat');

/** Levels of winston's own sets that are not above debug: lines at these levels keep them. */
const LOW = new Set(['debug', 'silly', 'trace']);

/** A line, as winston hands it from format to format. */
export interface WinstonInfo {
  level: string;
  message: unknown;
  [key: string | symbol]: unknown;
}

/** A format of winston's. */
export interface WinstonFormat {
  transform(info: WinstonInfo): WinstonInfo;
}

/** Options of `noiseFormat()`. */
export interface NoiseFormatOptions {
  /** The level that noise gets; default `debug`. For a logger with custom levels, one of those. */
  readonly level?: string;
}

/**
 * Makes the format: `format.combine(noiseFormat(), format.errors({ stack: true }), format.json())`. Throws `bad-option`.
 *
 * A lowered line gets the fields `noise`, `noiseReason` and `streamId`. As a format of the logger it runs before the transports check the
 * level: where they print from `info` up, noise is counted and not printed. As a format of a transport it runs after that check, and the
 * line is printed as debug.
 */
export function noiseFormat(options: NoiseFormatOptions = {}): WinstonFormat {
  refuseUnknown('noiseFormat()', options, ['level']);
  const { level = 'debug' } = options;
  if (typeof level !== 'string' || level === '') {
    throw bad(`\`level\` must be the name of a level, not ${show(level)}`);
  }
  followStreams();
  return {
    transform(info) {
      // The line was lowered before; `colorize()` may have changed its level since.
      if (info['noise'] === true) return info;
      const found = noiseIn(partsOf(info));
      if (found === undefined) return info;
      const lowered = LOW.has(info.level) ? info.level : level;
      return Object.assign(own(info), fieldsOf(found), { level: lowered, [LEVEL]: lowered });
    },
  };
}

/** Where an error may be: the line itself, its fields, its message, and the arguments behind the message. */
function partsOf(info: WinstonInfo): readonly unknown[] {
  const behind = info[SPLAT];
  return [info, info.message, ...(Array.isArray(behind) ? (behind as readonly unknown[]) : [])];
}

/** The object to add fields to: with `logger.error(error)` the line is the app's error object, which must not be changed. */
function own(info: WinstonInfo): WinstonInfo {
  // It has what `info` has, by itself or from the error behind it.
  return isError(info) ? (Object.assign(Object.create(info), info) as WinstonInfo) : info;
}
