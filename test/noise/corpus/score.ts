/** How well the classifier did, all in all and for each source of errors. */

/** One error. */
export interface Judged {
  readonly what: string;
  readonly source: string;
  /** What it is, by hand. */
  readonly label: boolean;
  /** What it was called. */
  readonly found: boolean;
  /** Nothing that can be seen of it tells; see `Case`. */
  readonly undecidable: boolean;
}

export interface Score {
  readonly errors: number;
  readonly noise: number;
  /** Of what was called noise, the part that is; 1 when nothing was. */
  readonly precision: number;
  /** Of the noise, the part that was called so; 1 when there is none. */
  readonly recall: number;
}

/** The scores, and the noise that was missed. */
export function scoreOf(judged: readonly Judged[]): {
  readonly all: Score;
  /** Without what nobody could tell. */
  readonly decidable: Score;
  readonly missed: readonly string[];
} {
  const missed = judged.filter(({ label, found }) => label && !found).map(({ what }) => what);
  return { all: score(judged), decidable: score(judged.filter(canBeTold)), missed };
}

/** One line for each source, one for what can be told, one for what cannot, and one for all. */
export function tableOf(judged: readonly Judged[]): string {
  const sources = [...new Set(judged.map(({ source }) => source))];
  const rows = sources.map(
    (name) => [name, judged.filter(({ source }) => source === name)] as const,
  );
  const sums = [
    ['can be told', judged.filter(canBeTold)],
    ['cannot be told', judged.filter((one) => !canBeTold(one))],
    ['all', judged],
  ] as const;
  const line = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, i) => (i === 0 ? String(cell).padEnd(20) : String(cell).padStart(10)))
      .join('');
  return [
    line(['source', 'errors', 'noise', 'failures', 'precision', 'recall']),
    ...[...rows, ...sums].map(([name, part]) => {
      const { errors, noise, precision, recall } = score(part);
      return line([name, errors, noise, errors - noise, precision.toFixed(3), recall.toFixed(3)]);
    }),
  ].join('\n');
}

function canBeTold({ undecidable }: Judged): boolean {
  return !undecidable;
}

function score(judged: readonly Judged[]): Score {
  const noise = judged.filter(({ label }) => label);
  const called = judged.filter(({ found }) => found);
  const right = called.filter(({ label }) => label).length;
  return {
    errors: judged.length,
    noise: noise.length,
    precision: called.length === 0 ? 1 : right / called.length,
    recall: noise.length === 0 ? 1 : right / noise.length,
  };
}
