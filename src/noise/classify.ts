/** Noise or a failure: reads the tables of signatures.ts against what the stream knows. */
import type { StreamFacts } from '../current.ts';
import type { Noise } from '../observer.ts';

/** The answer. */
export type Classification = ({ readonly noise: true } & Noise) | { readonly noise: false };

const FAILURE: Classification = { noise: false };

/** Whether `error`, which belongs to a stream with these facts, is noise. Never throws. */
export function classify(_error: unknown, facts: StreamFacts): Classification {
  if (facts.departure === undefined) return FAILURE;
  return FAILURE;
}
