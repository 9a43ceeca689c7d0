/**
 * What the adapters of loggers share: the errors that a log line is about, and what is said of a line that is noise. A
 * line is noise only if every error in it is: one real failure among them, and it stays what it was.
 */
import { isNativeError } from 'node:util/types';
import { type FoundNoise, noiseOf } from '../decide.ts';
import { isRecord } from '../../core/values.ts';

/** What a lowered line says of itself. */
export interface NoiseFields {
  readonly noise: true;
  /** The kind, as in the label of `lastchunk_noise_total`. */
  readonly noiseReason: string;
  readonly streamId: string;
}

/** Names under which an error stands in the fields of a line: pino's and bunyan's word, and everybody else's. */
const ERROR_KEYS = ['err', 'error'] as const;

/**
 * Why a line made of these arguments is noise, or `undefined`. Never throws: a field that cannot be read is the
 * logger's business. Counts each error once, whoever else is asked about it.
 */
export function noiseIn(args: readonly unknown[]): FoundNoise | undefined {
  try {
    const errors = args.flatMap(errorsOf);
    const res = args.map(responseOf).find((found) => found !== undefined);
    const found = errors.map((error) => noiseAbout(error, res));
    return found.every((one) => one !== undefined) ? found[0] : undefined;
  } catch {
    // A getter or a proxy of the app's threw. What cannot be looked at is not called noise.
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

/** The response tells more surely whose error it is; in the listeners of a response nothing else does. */
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
