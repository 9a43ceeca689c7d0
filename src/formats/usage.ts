/**
 * The token counts of an answer, as a payload has them. They are checked, because any server may have sent them; a count that is not
 * sent is undefined.
 */
import type { TokenUsage } from '../core/observer.ts';
import { isRecord } from '../core/values.ts';
import { member } from './json.ts';

/** The usage of an answer that sends no counts. */
export const NO_USAGE: TokenUsage = { inputTokens: undefined, outputTokens: undefined };

/** The counts after a further payload: a count that it has replaces the one before. */
export function laterUsage(before: TokenUsage, said: TokenUsage): TokenUsage {
  return {
    inputTokens: said.inputTokens ?? before.inputTokens,
    outputTokens: said.outputTokens ?? before.outputTokens,
  };
}

/** Sums of the members of `counts`, by name: the first name of each list must be present, the others may be absent. */
export function usageIn(
  counts: unknown,
  input: readonly string[],
  output: readonly string[],
): TokenUsage | undefined {
  if (!isRecord(counts)) return undefined;
  return { inputTokens: sumOf(counts, input), outputTokens: sumOf(counts, output) };
}

function sumOf(counts: unknown, keys: readonly string[]): number | undefined {
  const [first, ...others] = keys.map((key) => member(counts, key));
  if (!isCount(first)) return undefined;
  const sum = others.filter(isCount).reduce((total, count) => total + count, first);
  return isCount(sum) ? sum : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
