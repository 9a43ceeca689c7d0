/** Which chunks are worth parsing while they pass: one regular expression for each choice of format. */
import { asBuiltIn, BUILT_INS } from './registry.ts';
import type { Format } from './format.ts';

/**
 * Characters of an unfinished frame that are searched again with the next chunk: at least the longest needle,
 * or blank line, that a cut could hide.
 */
export const OVERLAP_CHARS = 64;

/** Any terminal or error frame of any format. */
const ANY = anyOf(BUILT_INS.flatMap((format) => format.prefilter));

/**
 * What every terminal or error frame of the format matches, of any built-in one under `auto` (`undefined`).
 * `undefined` for a custom format without needles: every frame is parsed.
 */
export function prefilterOf(given: Format | undefined): RegExp | undefined {
  if (given === undefined) return ANY;
  const builtIn = asBuiltIn(given);
  if (builtIn !== undefined) return anyOf(builtIn.prefilter);
  if (given.needles === undefined) return undefined;
  return anyOf(
    given.needles.map((needle) => needle.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)),
  );
}

/** One expression, because that goes over the chunk once; each alternative once, because it pays for every one. */
function anyOf(sources: readonly string[]): RegExp {
  return new RegExp([...new Set(sources)].join('|'));
}
