/**
 * Version ranges as package.json files have them, as far as the packages that we meet use them: `^`, `~`, comparisons, spaces
 * and `||`. Enough to tell an operator what does not fit; npm decides what is installed.
 */

type Numbers = readonly [number, number, number];

/** Whether `version` is in `range`. True for a range that is written in another way: nothing is claimed about it. */
export function isInRange(version: string, range: string): boolean {
  const numbers = parse(version);
  if (numbers === undefined) return true;
  return range.split('||').some((alternative) =>
    alternative
      // `>= 18`: the space belongs to the condition.
      .replaceAll(/([<>=^~])\s+/g, '$1')
      .trim()
      .split(/\s+/)
      .every((condition) => meets(numbers, condition)),
  );
}

function meets(version: Numbers, condition: string): boolean {
  const { operator = '', rest = '' } =
    /^(?<operator>[<>=^~]*)(?<rest>.*)$/.exec(condition)?.groups ?? {};
  const bound = parse(rest);
  const test = OPERATORS[operator];
  return bound === undefined || test === undefined || test(version, bound);
}

const OPERATORS: Readonly<Record<string, (version: Numbers, bound: Numbers) => boolean>> = {
  '>=': (version, bound) => compare(version, bound) >= 0,
  '>': (version, bound) => compare(version, bound) > 0,
  '<=': (version, bound) => compare(version, bound) <= 0,
  '<': (version, bound) => compare(version, bound) < 0,
  '=': (version, bound) => compare(version, bound) === 0,
  '': (version, bound) => compare(version, bound) === 0,
  '~': (version, bound) => compare(version, bound) >= 0 && sameUpTo(version, bound, 2),
  // Up to the first number that is not 0.
  '^': (version, bound) => {
    const first = bound.findIndex((number) => number > 0);
    return compare(version, bound) >= 0 && sameUpTo(version, bound, first === -1 ? 3 : first + 1);
  },
};

function sameUpTo(version: Numbers, bound: Numbers, count: number): boolean {
  return version.slice(0, count).every((number, at) => number === bound[at]);
}

function compare(a: Numbers, b: Numbers): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/** `1`, `1.2` and `1.2.3-rc.1` are versions; what a pre-release is called does not matter here. */
function parse(text: string): Numbers | undefined {
  const found = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+].*)?$/.exec(text.trim());
  if (found === null) return undefined;
  return [Number(found[1]), Number(found[2] ?? 0), Number(found[3] ?? 0)];
}
