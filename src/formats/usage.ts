/**
 * The tokens that an answer took, as a payload says it. Counts are checked, because a server that anybody may run has sent them; what
 * is not said is not known.
 */
import type { TokenUsage } from '../core/observer.ts';
import { isRecord } from '../core/values.ts';
import { member } from './json.ts';

/** Of an answer that says nothing. */
export const NO_USAGE: TokenUsage = { inputTokens: undefined, outputTokens: undefined };

/** What is known by now: a later payload counts for what it says, and only for that. */
export function laterUsage(before: TokenUsage, said: TokenUsage): TokenUsage {
  return {
    inputTokens: said.inputTokens ?? before.inputTokens,
    outputTokens: said.outputTokens ?? before.outputTokens,
  };
}

/** By the members of `counts`, which are added up: the first of each list has to be there, the others may be. */
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
