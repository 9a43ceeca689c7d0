/**
 * Shared code of the logger adapters: finds the errors in a log line, and makes the fields of a line that is noise. A line is noise only
 * if every error in it is noise; with one failure it keeps its level.
 */
import { isNativeError } from 'node:util/types';
import { type FoundNoise, noiseOf } from '../decide.ts';
import { isRecord } from '../../core/values.ts';

/** The fields that a lowered line gets. */
export interface NoiseFields {
  readonly noise: true;
  /** The kind, as in the label of `lastchunk_noise_total`. */
  readonly noiseReason: string;
  readonly streamId: string;
}

/** Fields of a line that contain an error: `err` in pino and bunyan, `error` elsewhere. */
const ERROR_KEYS = ['err', 'error'] as const;

/**
 * Why a line with these arguments is noise, or `undefined`. Never throws: where a field cannot be read, the line is not noise. Counts each
 * error once, together with all other places.
 */
export function noiseIn(args: readonly unknown[]): FoundNoise | undefined {
  try {
    const errors = args.flatMap(errorsOf);
    const res = args.map(responseOf).find((found) => found !== undefined);
    const found = errors.map((error) => noiseAbout(error, res));
    return found.every((one) => one !== undefined) ? found[0] : undefined;
  } catch {
    // A getter or a proxy of the app threw: a line that cannot be read is not noise.
    return undefined;
  }
}

export function fieldsOf({ reason, streamId }: FoundNoise): NoiseFields {
  return { noise: true, noiseReason: reason, streamId };
}

/** True for errors of other realms too, such as those of `vm`. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || isNativeError(value);
}

/** By the response where there is one: it identifies the stream more reliably, and in listeners of a response it is the only way. */
function noiseAbout(error: Error, res: object | undefined): FoundNoise | undefined {
  return (res === undefined ? undefined : noiseOf(error, res)) ?? noiseOf(error);
}

function errorsOf(value: unknown): readonly Error[] {
  if (isError(value)) return [value];
  if (!isRecord(value)) return [];
  return ERROR_KEYS.map((key) => value[key]).filter(isError);
}

/** A line about a request has it, or its response, among its fields: pino-http's `res`, Express's `req.res`. */
function responseOf(value: unknown): object | undefined {
  if (!isRecord(value)) return undefined;
  const { req, res } = value;
  if (isRecord(res)) return res;
  return isRecord(req) && isRecord(req['res']) ? req['res'] : undefined;
}
